package host

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// clientCert makes a certificate and its key in one file, as the kubelet keeps its own.
func clientCert(t *testing.T) (pemBytes []byte, pool *x509.CertPool) {
	t.Helper()
	return clientCertUntil(t, time.Now().Add(time.Hour))
}

func clientCertUntil(t *testing.T, end time.Time) (pemBytes []byte, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "system:node:a", Organization: []string{"system:nodes"}},
		NotBefore: end.Add(-2 * time.Hour), NotAfter: end, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool = x509.NewCertPool()
	pool.AddCert(cert)
	return append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})...), pool
}

// TestCredential: what a kubelet authenticates itself with, and until when.
func TestCredential(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	today, tomorrow := time.Now().UTC().Truncate(time.Second), time.Now().UTC().Truncate(time.Second).Add(24*time.Hour)
	older, _ := clientCertUntil(t, today)
	newer, _ := clientCertUntil(t, tomorrow)
	user := func(text string) string {
		return "clusters:\n- {name: c, cluster: {server: \"https://10.0.0.1:6443/\", proxy-url: \"http://p:1\"}}\ncontexts:\n- {name: x, context: {cluster: c, user: u}}\ncurrent-context: x\nusers:\n- {name: u, user: {" + text + "}}\n"
	}
	inline := "client-certificate-data: " + base64.StdEncoding.EncodeToString(older) + ", client-key-data: " + base64.StdEncoding.EncodeToString(older)
	for name, text := range map[string]string{
		"older.pem": string(older), "newer.pem": string(newer), "junk.pem": "junk", "inline": user(inline), "file": user("client-certificate: older.pem, client-key: older.pem"),
		"token": user("token: abc"), "junk": user("client-certificate: junk.pem, client-key: junk.pem"),
	} {
		if err := os.WriteFile(at(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name, file, rotated, certificate string
		expires                          time.Time
	}{
		{"in the kubeconfig", "inline", "", at("inline"), today},
		{"in a file beside it", "file", "", at("older.pem"), today},
		{"renewed since", "inline", at("newer.pem"), at("newer.pem"), tomorrow},
		{"the same file", "file", at("older.pem"), at("older.pem"), today},
		{"not renewed yet", "file", at("none.pem"), at("older.pem"), today},
		{"a renewal that is none", "file", at("junk.pem"), at("older.pem"), today},
		{"none", "token", at("newer.pem"), "", time.Time{}},
	} {
		got, err := linuxHTTP{}.Credential(at(c.file), c.rotated)
		want := Credential{Server: "https://10.0.0.1:6443", Proxy: "http://p:1", Certificate: c.certificate, Expires: c.expires}
		if got != want || err != nil {
			t.Errorf("%s: %+v, %v; want %+v", c.name, got, err, want)
		}
	}
	if _, err := (linuxHTTP{}).Credential(at("nowhere"), ""); !errors.Is(err, ErrNotExist) {
		t.Errorf("no kubeconfig: %v", err)
	}
	if _, err := (linuxHTTP{}).Credential(at("junk"), ""); err == nil {
		t.Error("junk was taken for a certificate")
	}
}

func TestAPI(t *testing.T) {
	pair, pool := clientCert(t)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.WriteHeader(http.StatusConflict)
		_, _ = fmt.Fprintf(w, "%s %s %s %s %s", r.TLS.PeerCertificates[0].Subject.CommonName, r.Method, r.URL, r.Header.Get("Content-Type"), body)
	}))
	server.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool, MinVersion: tls.VersionTLS12}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})

	dir := t.TempDir()
	if err := errors.Join(os.WriteFile(dir+"/pair.pem", pair, 0o600), os.WriteFile(dir+"/ca.crt", ca, 0o600)); err != nil {
		t.Fatal(err)
	}
	const config = `apiVersion: v1
kind: Config
current-context: default
contexts:
- {name: other, context: {cluster: nowhere, user: nobody}}
- {name: default, context: {cluster: default, user: me}}
clusters:
- {name: nowhere, cluster: {server: "https://127.0.0.1:1"}}
- name: default
  cluster:
    server: %s/
    %s
users:
- name: me
  user:
    %s
`
	b64 := base64.StdEncoding.EncodeToString
	for _, c := range []struct{ name, cluster, user string }{
		{"files", "certificate-authority: " + dir + "/ca.crt", "{client-certificate: " + dir + "/pair.pem, client-key: " + dir + "/pair.pem}"},
		{"relative files", "certificate-authority: ca.crt", "{client-certificate: pair.pem, client-key: pair.pem}"},
		{"inline", "certificate-authority-data: " + b64(ca), "{client-certificate-data: " + b64(pair) + ", client-key-data: " + b64(pair) + "}"},
	} {
		t.Run(c.name, func(t *testing.T) {
			kubeconfig := filepath.Join(dir, "kubelet.conf")
			text := fmt.Sprintf(config, server.URL, c.cluster, c.user)
			if err := os.WriteFile(kubeconfig, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			code, body, err := ownHTTP(t).Do(t.Context(), kubeconfig, "PATCH", "/api/v1/nodes/a?x=1", "application/merge-patch+json", []byte("{}"))
			if err != nil {
				t.Fatal(err)
			}
			if want := "system:node:a PATCH /api/v1/nodes/a?x=1 application/merge-patch+json {}"; code != http.StatusConflict || string(body) != want {
				t.Errorf("%d %s", code, body)
			}
		})
	}
	for name, text := range map[string]string{
		"no such context":  "current-context: x\n",
		"not YAML":         "\t{",
		"no authority":     strings.Replace(fmt.Sprintf(config, server.URL, "certificate-authority-data: eA==", "{}"), "eA==", "eA==", 1),
		"missing key":      fmt.Sprintf(config, server.URL, "certificate-authority: ca.crt", "{client-certificate: pair.pem, client-key: nowhere.pem}"),
		"unknown server":   fmt.Sprintf(config, server.URL, "tls-server-name: other.example", "{client-certificate: pair.pem, client-key: pair.pem}"),
		"without a server": fmt.Sprintf(config, "", "{}", "{}"),
	} {
		t.Run(name, func(t *testing.T) {
			kubeconfig := filepath.Join(dir, "bad.conf")
			if err := os.WriteFile(kubeconfig, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if code, _, err := ownHTTP(t).Do(t.Context(), kubeconfig, "GET", "/", "", nil); err == nil {
				t.Errorf("answered %d", code)
			}
		})
	}
}

func TestHealthzAndServe(t *testing.T) {
	h := ownHTTP(t)
	code := http.StatusOK
	address, stop, err := h.Serve(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(address, "127.0.0.1:") {
		t.Errorf("listens at %s", address)
	}
	if err := h.Healthz(t.Context(), "http://"+address+"/healthz"); err != nil {
		t.Errorf("200 isn't healthy: %v", err)
	}
	code = http.StatusInternalServerError
	if h.Healthz(t.Context(), "http://"+address+"/healthz") == nil {
		t.Error("500 is healthy")
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if h.Healthz(t.Context(), "http://"+address+"/healthz") == nil {
		t.Error("healthy after its end")
	}
}

const guestVariable = "HOST_TEST_GUEST"

// TestGuest makes this test binary one that asks an address.
func TestGuest(t *testing.T) {
	url := os.Getenv(guestVariable)
	if url == "" {
		t.Skip("another test starts this one in a process of its own")
	}
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	t.Log(answer.Status)
}

// TestServeRootAlone: what is served on loopback isn't for the machine's other users.
func TestServeRootAlone(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root starts processes of others")
	}
	address, stop, err := ownHTTP(t).Serve(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stop() }()
	program := filepath.Join(shortDir(t), "guest")
	if err := os.Chmod(filepath.Dir(program), 0o755); err != nil {
		t.Fatal(err)
	}
	copyOf(t, program)
	for uid, want := range map[uint32]string{0: "200 OK", 65534: "403 Forbidden"} {
		cmd := exec.Command(program, "-test.run=^TestGuest$", "-test.v")
		cmd.Env, cmd.Dir = append(os.Environ(), guestVariable+"=http://"+address), filepath.Dir(program)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), want) {
			t.Errorf("user %d is answered %s, %v", uid, out, err)
		}
	}
}

func ownHTTP(t *testing.T) linuxHTTP {
	t.Helper()
	procs, err := newProcs("/proc")
	if err != nil {
		t.Fatal(err)
	}
	return linuxHTTP{clients: linuxClients{procs: procs}}
}
