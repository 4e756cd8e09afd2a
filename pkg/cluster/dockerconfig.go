package cluster

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// keyring are credentials by what they are for: a registry's host, with a port or a path where one was given, with
// wildcards in the host's parts. The rules are the kubelet's, so what it could pull, we can.
type keyring []key

type key struct {
	host string // "*.example.com:5000"
	path string // "/team/project", never with a slash at the end
	auth v1alpha1.RegistryAuth
}

// hub is how Docker Hub is written in configurations; images there are named without a host.
const hub = "index.docker.io"

// parseSecret reads a pull secret of either type.
func parseSecret(s *corev1.Secret) (keyring, error) {
	var auths map[string]json.RawMessage
	switch s.Type {
	case corev1.SecretTypeDockerConfigJson:
		var config struct {
			Auths map[string]json.RawMessage `json:"auths"`
		}
		if err := json.Unmarshal(s.Data[corev1.DockerConfigJsonKey], &config); err != nil {
			return nil, errors.New("it holds no readable docker configuration") // the cause would quote its content
		}
		auths = config.Auths
	case corev1.SecretTypeDockercfg:
		if err := json.Unmarshal(s.Data[corev1.DockerConfigKey], &auths); err != nil {
			return nil, errors.New("it holds no readable docker configuration")
		}
	default:
		return nil, fmt.Errorf("its type is %s", s.Type)
	}
	var ring keyring
	for registry, raw := range auths {
		auth, err := parseAuth(raw)
		if err != nil {
			return nil, fmt.Errorf("its entry for %s: %w", registry, err)
		}
		k := parseKey(registry)
		k.auth = auth
		ring = append(ring, k)
	}
	ring.sort()
	return ring, nil
}

func parseAuth(raw json.RawMessage) (v1alpha1.RegistryAuth, error) {
	var entry struct {
		Username      string `json:"username"`
		Password      string `json:"password"`
		Auth          string `json:"auth"`
		IdentityToken string `json:"identitytoken"`
		RegistryToken string `json:"registrytoken"`
	}
	if err := json.Unmarshal(raw, &entry); err != nil {
		return v1alpha1.RegistryAuth{}, errors.New("it can't be read")
	}
	out := v1alpha1.RegistryAuth{Username: entry.Username, Password: entry.Password, IdentityToken: entry.IdentityToken, RegistryToken: entry.RegistryToken}
	if entry.Auth == "" {
		return out, nil
	}
	decoded, err := base64.StdEncoding.DecodeString(entry.Auth)
	if err != nil {
		// Some tools leave the padding out.
		decoded, err = base64.RawStdEncoding.DecodeString(entry.Auth)
	}
	user, password, ok := strings.Cut(strings.TrimRight(string(decoded), "\x00"), ":")
	if err != nil || !ok {
		return v1alpha1.RegistryAuth{}, errors.New("its auth isn't base64 of user:password")
	}
	out.Username, out.Password = user, password
	return out, nil
}

// parseKey reads how a configuration names a registry: a URL of its API, or a host with an optional path.
func parseKey(registry string) key {
	for _, scheme := range []string{"https://", "http://"} {
		registry = strings.TrimPrefix(registry, scheme)
	}
	host, p, _ := strings.Cut(registry, "/")
	p = strings.TrimSuffix("/"+p, "/")
	if p == "/v1" || p == "/v2" {
		p = ""
	}
	if host == "docker.io" || host == "registry-1.docker.io" {
		host = hub
	}
	return key{host: host, path: p}
}

// sort puts what is more precise first: it is tried first.
func (r keyring) sort() {
	slices.SortStableFunc(r, func(a, b key) int {
		return cmp.Or(cmp.Compare(len(b.path), len(a.path)), cmp.Compare(strings.Count(a.host, "*"), strings.Count(b.host, "*")), strings.Compare(a.host, b.host))
	})
}

// lookup returns the credentials for an image, most precise first, each once.
func (r keyring) lookup(image string) []v1alpha1.RegistryAuth {
	host, repository := splitImage(image)
	var out []v1alpha1.RegistryAuth
	for _, k := range r {
		if k.matches(host, repository) && !slices.Contains(out, k.auth) {
			out = append(out, k.auth)
		}
	}
	return out
}

func (k key) matches(host, repository string) bool {
	if !strings.HasPrefix(repository, k.path) {
		return false
	}
	wantHost, wantPort, _ := strings.Cut(k.host, ":")
	gotHost, gotPort, _ := strings.Cut(host, ":")
	want, got := strings.Split(wantHost, "."), strings.Split(gotHost, ".")
	if wantPort != gotPort || len(want) != len(got) {
		return false
	}
	for i := range want {
		if ok, err := path.Match(want[i], got[i]); err != nil || !ok {
			return false
		}
	}
	return true
}

// splitImage returns an image's registry and repository ("/library/nginx").
func splitImage(image string) (host, repository string) {
	name, _, _ := strings.Cut(image, "@")
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		name = name[:i]
	}
	first, rest, ok := strings.Cut(name, "/")
	if !ok {
		return hub, "/library/" + first
	}
	if !strings.ContainsAny(first, ".:") && first != "localhost" {
		return hub, "/" + name
	}
	if first == "docker.io" || first == hub {
		if !strings.Contains(rest, "/") {
			rest = "library/" + rest
		}
		return hub, "/" + rest
	}
	return first, "/" + rest
}
