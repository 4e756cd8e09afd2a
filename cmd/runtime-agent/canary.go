package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"time"
)

// errTold has a canary that was told to end started again where its pod goes on, as under another runtime.
var errTold = errors.New("told to end")

// canary answers requests for one path with 200 until it is told to end, or its time is over: whoever started it may be gone. It
// proves that the network of its pod carries probes.
func canary(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("canary", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	listen := flags.String("listen", "", "address")
	path := flags.String("path", "", "what is answered")
	life := flags.Duration("for", 0, "how long")
	if err := flags.Parse(args); err != nil || *listen == "" || *path == "" || *life <= 0 || flags.NArg() > 0 {
		return errUsage
	}
	server := &http.Server{
		Addr: *listen, ReadHeaderTimeout: 5 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != *path {
				http.NotFound(w, r)
				return
			}
			_, _ = io.WriteString(w, "ok\n")
		}),
	}
	timed, cancel := context.WithTimeout(ctx, *life)
	defer cancel()
	go func() {
		<-timed.Done()
		_ = server.Close() // a probe under way may fail: the pod ends
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("listening on %s: %w", *listen, err)
	}
	if ctx.Err() != nil {
		return errTold
	}
	return nil
}
