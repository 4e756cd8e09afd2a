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

// canary answers requests for one path with 200 until it is told to end. It proves that the network of its pod carries probes.
func canary(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("canary", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	listen := flags.String("listen", "", "address")
	path := flags.String("path", "", "what is answered")
	if err := flags.Parse(args); err != nil || *listen == "" || *path == "" || flags.NArg() > 0 {
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
	go func() {
		<-ctx.Done()
		_ = server.Close() // a probe under way may fail: the pod ends
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("listening on %s: %w", *listen, err)
	}
	return nil
}
