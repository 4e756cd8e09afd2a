//go:build linux

package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// dockerClient speaks Docker's API on its socket, in whatever version the daemon prefers: what is asked here has been the
// same since 1.26.
type dockerClient struct {
	socket string
	http   *http.Client
}

func newDockerClient(socket string) *dockerClient {
	return &dockerClient{socket: socket, http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialRoot(ctx, socket)
		},
		// Idle connections would keep a stopping daemon waiting.
		DisableKeepAlives: true,
	}}}
}

// errDockerMissing is the daemon's 404.
var errDockerMissing = errors.New("docker doesn't know it")

// send returns the body of a good answer; the caller closes it.
func (d *dockerClient) send(ctx context.Context, method, path string, query url.Values, header http.Header, body io.Reader) (io.ReadCloser, error) {
	u := url.URL{Scheme: "http", Host: "docker", Path: path, RawQuery: query.Encode()}
	request, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		request.Header[name] = values
	}
	answer, err := d.http.Do(request)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return nil, fmt.Errorf("asking docker at %s: %w", d.socket, err)
	}
	if answer.StatusCode < 300 || answer.StatusCode == http.StatusNotModified {
		return answer.Body, nil
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(answer.Body, 4<<10))
	var message struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(text, &message) != nil {
		message.Message = strings.TrimSpace(string(text))
	}
	if answer.StatusCode == http.StatusNotFound {
		return nil, fmt.Errorf("%w: %s", errDockerMissing, message.Message)
	}
	return nil, fmt.Errorf("docker answered %s: %s", answer.Status, message.Message)
}

func (d *dockerClient) get(ctx context.Context, path string, query url.Values, into any) error {
	body, err := d.send(ctx, http.MethodGet, path, query, nil, nil)
	if err != nil {
		return err
	}
	defer body.Close()
	if err := json.NewDecoder(body).Decode(into); err != nil {
		return fmt.Errorf("reading docker's answer to %s: %w", path, err)
	}
	return nil
}

// act sends a request whose answer says nothing; what docker doesn't know is no error.
func (d *dockerClient) act(ctx context.Context, method, path string, query url.Values) error {
	body, err := d.send(ctx, method, path, query, nil, nil)
	if errors.Is(err, errDockerMissing) {
		return nil
	}
	if err != nil {
		return err
	}
	defer body.Close()
	_, err = io.Copy(io.Discard, body)
	return err
}

// stream reads the progress lines of a long request, whose errors come in the body of a good answer.
func (d *dockerClient) stream(ctx context.Context, path string, query url.Values, header http.Header, in io.Reader) error {
	body, err := d.send(ctx, http.MethodPost, path, query, header, in)
	if err != nil {
		return err
	}
	defer body.Close()
	for lines := json.NewDecoder(body); ; {
		var line struct {
			Error string `json:"error"`
		}
		err := lines.Decode(&line)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if line.Error != "" {
			return errors.New(line.Error)
		}
	}
}

// dockerContainer is a line of docker's list.
type dockerContainer struct {
	ID      string            `json:"Id"`
	Names   []string          `json:"Names"`
	Image   string            `json:"Image"`
	State   string            `json:"State"`
	Labels  map[string]string `json:"Labels"`
	Created int64             `json:"Created"`
	Mounts  []struct {
		Type string `json:"Type"`
		Name string `json:"Name"`
	} `json:"Mounts"`
}

// The labels by which dockershim and cri-dockerd know their containers.
const (
	dockerTypeLabel    = "io.kubernetes.docker.type"
	dockerSandboxLabel = "io.kubernetes.sandbox.id"
	dockerSandboxType  = "podsandbox"
)

func (d *dockerClient) containers(ctx context.Context) ([]dockerContainer, error) {
	var out []dockerContainer
	err := d.get(ctx, "/containers/json", url.Values{"all": {"1"}}, &out)
	return out, err
}

func (d *dockerClient) remove(ctx context.Context, id string) error {
	return d.act(ctx, http.MethodDelete, "/containers/"+id, url.Values{"force": {"1"}, "v": {"1"}})
}

func (d *dockerClient) stop(ctx context.Context, id string, grace time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, grace+stopSlack)
	defer cancel()
	seconds := (max(grace, 0) + time.Second - 1) / time.Second
	return d.act(ctx, http.MethodPost, "/containers/"+id+"/stop", url.Values{"t": {fmt.Sprint(int64(seconds))}})
}

func (d *dockerClient) load(ctx context.Context, archive io.Reader) error {
	header := http.Header{"Content-Type": {"application/x-tar"}}
	return d.stream(ctx, "/images/load", url.Values{"quiet": {"1"}}, header, archive)
}
