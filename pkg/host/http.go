//go:build linux

package host

import (
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

type linuxHTTP struct{ clients linuxClients }

// maxBody is more than any one object of the API.
const maxBody = 8 << 20

func (linuxHTTP) Do(ctx context.Context, kubeconfig, method, path, contentType string, body []byte) (int, []byte, error) {
	data, err := readFile(kubeconfig)
	if err != nil {
		return 0, nil, err
	}
	cluster, err := parseKubeconfig(data, kubeconfig)
	if err != nil {
		return 0, nil, fmt.Errorf("reading %s: %w", kubeconfig, err)
	}
	client, err := cluster.client()
	if err != nil {
		return 0, nil, fmt.Errorf("reading %s: %w", kubeconfig, err)
	}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, method, cluster.server+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	request.Header.Set("Accept", "application/json")
	if cluster.token != "" {
		request.Header.Set("Authorization", "Bearer "+cluster.token)
	}
	answer, err := client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	out, err := io.ReadAll(io.LimitReader(answer.Body, maxBody))
	if err != nil {
		return answer.StatusCode, nil, fmt.Errorf("reading the answer of %s: %w", cluster.server, err)
	}
	return answer.StatusCode, out, nil
}

func (linuxHTTP) Credential(path, rotated string) (Credential, error) {
	data, err := readFile(path)
	if gone(err) {
		return Credential{}, fmt.Errorf("reading %s: %w", path, ErrNotExist)
	}
	if err != nil {
		return Credential{}, err
	}
	cluster, err := parseKubeconfig(data, path)
	if err != nil {
		return Credential{}, fmt.Errorf("reading %s: %w", path, err)
	}
	out := Credential{Server: cluster.server, Proxy: cluster.proxy}
	if len(cluster.cert) == 0 {
		return out, nil
	}
	out.Certificate = cmp.Or(cluster.certFile, path)
	if out.Expires, err = expires(cluster.cert); err != nil {
		return out, fmt.Errorf("reading %s: %w", out.Certificate, err)
	}
	if data, err := readFile(rotated); err == nil {
		if end, err := expires(data); err == nil && end.After(out.Expires) {
			out.Certificate, out.Expires = rotated, end
		}
	}
	return out, nil
}

// expires is the end of the first certificate in PEM, which is the client's own.
func expires(data []byte) (time.Time, error) {
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return time.Time{}, err
		}
		return cert.NotAfter.UTC(), nil
	}
	return time.Time{}, errors.New("no certificate in it")
}

func (h linuxHTTP) Serve(handler http.Handler) (address string, stop func() error, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("listening on loopback: %w", err)
	}
	server := &http.Server{
		Handler: h.clients.rootOnly(handler), ReadHeaderTimeout: 10 * time.Second,
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, conn)
		},
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	stop = func() error {
		err := server.Close()
		if serve := <-done; !errors.Is(serve, http.ErrServerClosed) {
			err = errors.Join(err, serve)
		}
		return err
	}
	return listener.Addr().String(), stop, nil
}
