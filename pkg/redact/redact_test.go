package redact_test

import (
	"strings"
	"testing"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/redact"
)

// said are lines as daemons print them; each has a secret in it that says so.
var said = map[string]string{
	"a proxy in a variable":      `registries.conf: line 3: HTTPS_PROXY=http://ana:hunter2-secret@proxy.example:3128: no route`,
	"a proxy in an error":        `Get "https://r.example/v2/": proxyconnect tcp: dial tcp: lookup ana:hunter2-secret@proxy.example: no such host`,
	"a proxy without a scheme":   `invalid proxy "ana:hunter2-secret@proxy:3128"`,
	"a bearer token":             `unexpected status: Authorization: Bearer hunter2-secret`,
	"a bearer token alone":       `token server said: bearer hunter2-secret`,
	"basic":                      `sent Basic aHVudGVyMi1zZWNyZXQ6aHVudGVyMi1zZWNyZXQ=`,
	"a header as Go prints it":   `map[Accept:[*/*] X-Registry-Auth:[hunter2-secret] User-Agent:[x]]`,
	"a header of docker":         `X-Registry-Auth: hunter2-secret`,
	"a flag":                     `running skopeo copy --src-password hunter2-secret docker://a`,
	"a flag with =":              `--password=hunter2-secret: unknown flag`,
	"a key":                      `config: password = "hunter2-secret" isn't allowed`,
	"a token key":                `identitytoken: hunter2-secret`,
	"a secret key":               `client_secret=hunter2-secret&grant_type=password`,
	"auths":                      `parsing {"auths":{"r.example":{"auth":"hunter2-secret"}}}: bad`,
	"auths in a line of JSON":    `{"level":"error","msg":"parsing {\"auths\":{\"r.example\":{\"auth\":\"hunter2-secret\"}}}"}`,
	"auths twice escaped":        `{"a":"{\\\"password\\\":\\\"hunter2-secret\\\"}"}`,
	"a signed URL":               `Get "https://s3.example/blob?X-Amz-Credential=AKhunter2-secret%2F2026&X-Amz-Signature=hunter2-secret&x=1": EOF`,
	"an account's signature":     `Get "https://a.blob.example/x?sv=1&sig=hunter2-secret": EOF`,
	"a service account's token":  `eyJhbGciOiJSUzI1NiIsImtpZCI6Imh1bnRlcjItc2VjcmV0In0.eyJodW50ZXIyLXNlY3JldCI6MX0.hunter2-secret`,
	"a registry's configuration": `bad config eyJ1c2VybmFtZSI6ImFuYSIsInBhc3N3b3JkIjoiaHVudGVyMi1zZWNyZXQifQ==`,
	"a private key":              "loading: -----BEGIN EC PRIVATE KEY-----\nhunter2-secret\n-----END EC PRIVATE KEY-----",
	"after line ends":            "first\nsecond password=hunter2-secret\nthird",
}

// harmless are lines that lose nothing.
var harmless = []string{
	`CRI-O did not start: systemd reports "failed" (exit-code)`,
	`image r.example:5000/a/b:1.2@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef not found`,
	`nginx:1.27@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef`,
	`listen tcp 127.0.0.1:10248: bind: address already in use`,
	`dial unix /run/containerd/containerd.sock: connect: no such file or directory`,
	`the basic configuration of the bearer plugin is wrong`,
	`time="2026-01-01T00:00:00Z" level=error msg="failed to load plugin" id=io.containerd.grpc.v1.cri`,
	`running kubelet --config=/var/lib/kubelet/config.yaml --kubeconfig=/etc/kubernetes/kubelet.conf`,
	`no confirmation came within 5m0s`,
	`rollback was asked for by ana@laptop`,
	`pod kube-system/coredns-abc (uid 12345678-1234-1234-1234-123456789abc)`,
}

func TestText(t *testing.T) {
	for name, line := range said {
		got := redact.Text(line)
		for _, secret := range []string{"hunter2", "aHVudGVyMi", "eyJhbGci", "eyJ1c2Vy"} {
			if strings.Contains(got, secret) {
				t.Errorf("%s: %s", name, got)
			}
		}
		if again := redact.Text(got); again != got {
			t.Errorf("%s changes when it is masked again: %s", name, again)
		}
	}
	for _, line := range harmless {
		if got := redact.Text(line); got != line {
			t.Errorf("masked without need: %s", got)
		}
	}
}

func TestKnown(t *testing.T) {
	var k redact.Known
	k.AddFile("/etc/systemd/system/crio.service.d/proxy.conf", "[Service]\nEnvironment=\"HTTPS_PROXY=http://ana:p%%40ss-w0rd@proxy:3128\"\n")
	k.AddFile("/etc/docker/config.json", `{"auths":{"r":{"auth":"YW5hOnMzY3IzdC1yZWdpc3RyeQ=="}}}`)
	k.AddAuth(v1alpha1.RegistryAuth{Username: "ana", Password: "pull-secret"})
	k.Add("abc") // too short to be looked for
	k.Add("tea1")
	for line, want := range map[string]string{
		"dialing with p@ss-w0rd failed":     "dialing with ********* failed",
		"dialing with p%40ss-w0rd failed":   "dialing with *********** failed",
		"said YW5hOnMzY3IzdC1yZWdpc3RyeQ==": "said ****************************",
		"said s3cr3t-registry!":             "said ***************!",
		"xpull-secretx":                     "x***********x",
		"tea1 and team1 and tea12, (tea1)":  "**** and team1 and tea12, (****)",
		"abc ana":                           "abc ana",
		"Bearer abcdef012345":               "Bearer ************",
	} {
		if got := k.Text(line); got != want {
			t.Errorf("%s: %s", line, got)
		}
	}
	if got := (*redact.Known)(nil).Text("token=abcdef"); got != "token=******" {
		t.Errorf("nothing is known: %s", got)
	}
}

// FuzzText: no text breaks it, masking twice is masking once, and a secret in a place that tells of it is never left.
func FuzzText(f *testing.F) {
	for _, line := range said {
		f.Add(line, "hunter2-secret")
	}
	for _, line := range harmless {
		f.Add(line, "x")
	}
	f.Fuzz(func(t *testing.T, line, secret string) {
		got := redact.Text(line)
		if len(got) != len(line) {
			t.Fatalf("%q became %q", line, got)
		}
		if again := redact.Text(got); again != got {
			t.Fatalf("%q, then %q", got, again)
		}
		var k redact.Known
		k.Add(secret)
		if len(secret) >= 8 && strings.Trim(secret, "*") != "" && strings.Contains(k.Text(line+" "+secret+" "+line), secret) {
			t.Fatalf("%q is left in it", secret)
		}
	})
}
