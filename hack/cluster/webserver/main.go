// Command webserver is the test bed's workload: a web server that ends
// gracefully, and the clients that watch one from inside the cluster.
//
//	webserver [serve] [-listen ADDRESS] [-grace DURATION] [-startup DURATION]
//	webserver prober URL INTERVAL DURATION
//	webserver get URL
//	webserver sleep DURATION
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "webserver: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout io.Writer) error {
	command := "serve"
	if len(args) > 0 && args[0] != "" && args[0][0] != '-' {
		command, args = args[0], args[1:]
	}
	switch {
	case command == "serve":
		return serve(ctx, args, stdout)
	case command == "prober" && len(args) == 3:
		interval, err := time.ParseDuration(args[1])
		if err != nil {
			return err
		}
		duration, err := time.ParseDuration(args[2])
		if err != nil {
			return err
		}
		return json.NewEncoder(stdout).Encode(probe(ctx, args[0], interval, duration))
	case command == "get" && len(args) == 1:
		return get(ctx, args[0], stdout)
	case command == "sleep" && len(args) == 1:
		duration, err := time.ParseDuration(args[0])
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(duration):
		}
		return nil
	}
	return fmt.Errorf("unknown command %q", command)
}

func serve(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	listen := flags.String("listen", ":8080", "address to listen on")
	grace := flags.Duration("grace", 2*time.Second, "serve on for this long after SIGTERM, unready")
	startup := flags.Duration("startup", 0, "unready for this long after the start")
	if err := flags.Parse(args); err != nil {
		return err
	}
	hostname, err := os.Hostname()
	if err != nil {
		return err
	}

	var ready atomic.Bool
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, hostname)
	})
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !ready.Load() {
			http.Error(w, "not ready", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})

	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	fmt.Fprintf(stdout, "%s listens on %s\n", hostname, listener.Addr())
	time.AfterFunc(*startup, func() { ready.Store(true) })

	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	// Endpoints lose this pod a moment after its SIGTERM: a server that stopped at
	// once would lose the requests in between.
	ready.Store(false)
	fmt.Fprintln(stdout, "terminating")
	time.Sleep(*grace)
	shutdown, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return server.Shutdown(shutdown)
}

// probes is what a prober saw, times in milliseconds since its start.
type probes struct {
	Sent       int     `json:"sent"`
	Lost       int     `json:"lost"`
	Losses     []loss  `json:"losses"`
	LongestGap float64 `json:"longestGapMillis"`
	Slowest    float64 `json:"slowestMillis"`
	// Servers counts the answers of each host name.
	Servers map[string]int `json:"servers"`
}

type loss struct {
	At    float64 `json:"atMillis"`
	Error string  `json:"error"`
}

// probe sends at a fixed rate, whether or not earlier requests have been answered,
// each on a connection of its own: a kept connection would hide a Service that no
// longer leads anywhere.
func probe(ctx context.Context, url string, interval, duration time.Duration) probes {
	client := &http.Client{
		Timeout:   2 * time.Second,
		Transport: &http.Transport{DisableKeepAlives: true},
	}
	ctx, cancel := context.WithTimeout(ctx, duration)
	defer cancel()

	var (
		mu       sync.Mutex
		inFlight sync.WaitGroup
		result   = probes{Losses: []loss{}, Servers: map[string]int{}}
		start    = time.Now()
		answered = start
	)
	millis := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		sent := time.Now()
		result.Sent++
		inFlight.Go(func() {
			server, err := ask(context.WithoutCancel(ctx), client, url)
			mu.Lock()
			defer mu.Unlock()
			now := time.Now()
			result.Slowest = max(result.Slowest, millis(now.Sub(sent)))
			if err != nil {
				result.Lost++
				result.Losses = append(result.Losses, loss{At: millis(sent.Sub(start)), Error: err.Error()})
				return
			}
			result.Servers[server]++
			result.LongestGap = max(result.LongestGap, millis(now.Sub(answered)))
			answered = now
		})
		select {
		case <-ctx.Done():
			inFlight.Wait()
			return result
		case <-ticker.C:
		}
	}
}

func ask(ctx context.Context, client *http.Client, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 256))
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK {
		return "", errors.New(response.Status)
	}
	for len(body) > 0 && body[len(body)-1] == '\n' {
		body = body[:len(body)-1]
	}
	return string(body), nil
}

func get(ctx context.Context, url string, stdout io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	answer, err := ask(ctx, http.DefaultClient, url)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, answer)
	return err
}
