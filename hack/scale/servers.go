package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// users are whom the API server knows, each by a token that is its name: the address is this machine's alone, and the cluster is gone
// in a few minutes. What everybody but the one that fills asks for is written down.
func users() []string { return []string{"fill", "kubectl", "check", "status"} }

// servers are an etcd and an API server.
type servers struct {
	dir, etcd string // where everything is, and etcd's address
	port      int    // the API server's
	processes []*process
}

func (s *servers) kubeconfig(user string) string { return filepath.Join(s.dir, user+".kubeconfig") }

func (s *servers) audit() string { return filepath.Join(s.dir, "audit.log") }

// start starts an etcd, and an API server that is in a hurry: it collects little garbage, and lets everything in at once.
func start(ctx context.Context, o *options, dir string) (*servers, error) {
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	s := &servers{dir: dir, etcd: fmt.Sprint("http://127.0.0.1:", ports[0]), port: ports[2]}
	if err := s.files(); err != nil {
		return nil, err
	}
	peers := fmt.Sprint("http://127.0.0.1:", ports[1])
	err = s.process(ctx, nil, o.etcd, "--data-dir="+filepath.Join(dir, "etcd"), "--listen-client-urls="+s.etcd, "--advertise-client-urls="+s.etcd,
		"--listen-peer-urls="+peers, "--initial-advertise-peer-urls="+peers, "--initial-cluster=default="+peers,
		// Nothing of it outlives the measurement.
		"--unsafe-no-fsync", "--quota-backend-bytes=8589934592", "--log-level=error")
	if err == nil {
		err = s.serve(ctx, append(memoryLimit(50), "GOGC=400"), o.apiserver, "--enable-priority-and-fairness=false")
	}
	if err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

// again starts the API server anew, as it is without being in a hurry but for its memory: it keeps the whole cluster there, and leaves
// kubectl more of it where it collects its garbage early.
func (s *servers) again(ctx context.Context, o *options) error {
	last := len(s.processes) - 1
	s.processes[last].stop()
	s.processes = s.processes[:last]
	return s.serve(ctx, []string{"GOGC=50"}, o.apiserver)
}

// serve starts an API server and waits until it serves.
func (s *servers) serve(ctx context.Context, env []string, program string, args ...string) error {
	if err := s.process(ctx, env, program, append(args, s.apiserver()...)...); err != nil {
		return err
	}
	return s.ready(ctx)
}

func (s *servers) apiserver() []string {
	key := filepath.Join(s.dir, "key.pem")
	return []string{
		"--etcd-servers=" + s.etcd, "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", fmt.Sprint("--secure-port=", s.port),
		"--cert-dir=" + filepath.Join(s.dir, "certs"), "--token-auth-file=" + filepath.Join(s.dir, "tokens.csv"), "--authorization-mode=AlwaysAllow",
		"--service-account-issuer=https://127.0.0.1", "--service-account-key-file=" + key, "--service-account-signing-key-file=" + key,
		"--service-cluster-ip-range=10.96.0.0/16", "--endpoint-reconciler-type=none", "--allow-privileged",
		// No controller makes namespaces ready, service accounts or quotas: nothing is to wait for them.
		"--disable-admission-plugins=NamespaceLifecycle,ServiceAccount,LimitRanger,ResourceQuota,DefaultTolerationSeconds,TaintNodesByCondition," +
			"StorageObjectInUseProtection,DefaultStorageClass,MutatingAdmissionWebhook,ValidatingAdmissionWebhook,ValidatingAdmissionPolicy,Priority,RuntimeClass",
		"--max-requests-inflight=1000", "--max-mutating-requests-inflight=1000",
		"--audit-policy-file=" + filepath.Join(s.dir, "audit.yaml"), "--audit-log-path=" + s.audit(),
	}
}

// files writes what the API server and its clients read.
func (s *servers) files() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	var tokens strings.Builder
	for i, user := range users() {
		fmt.Fprintf(&tokens, "%s,%s,%d,system:masters\n", user, user, i)
		if err := s.writeKubeconfig(user); err != nil {
			return err
		}
	}
	for name, text := range map[string]string{
		"key.pem":    string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})),
		"tokens.csv": tokens.String(),
		"audit.yaml": "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules:\n- {level: None, users: [fill]}\n" +
			"- {level: Metadata, users: [" + strings.Join(users()[1:], ", ") + "]}\n- {level: None}\n",
	} {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (s *servers) writeKubeconfig(user string) error {
	c := clientcmdapi.NewConfig()
	// The API server makes its own certificate, which vouches for itself.
	c.Clusters["scale"] = &clientcmdapi.Cluster{Server: fmt.Sprint("https://127.0.0.1:", s.port), CertificateAuthority: filepath.Join(s.dir, "certs", "apiserver.crt")}
	c.AuthInfos[user] = &clientcmdapi.AuthInfo{Token: user}
	c.Contexts["scale"] = &clientcmdapi.Context{Cluster: "scale", AuthInfo: user}
	c.CurrentContext = "scale"
	return clientcmd.WriteToFile(*c, s.kubeconfig(user))
}

// ready waits until the API server says that it is.
func (s *servers) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for {
		err := s.askReady(ctx)
		if err == nil {
			return nil
		}
		for _, p := range s.processes {
			select {
			case <-p.ended:
				return p.failure()
			default:
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the API server isn't ready: %w", err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (s *servers) askReady(ctx context.Context) error {
	// It reads the certificate, which the API server writes while it starts.
	config, err := clientcmd.BuildConfigFromFlags("", s.kubeconfig("fill"))
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	return client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
}

// stop ends the processes, the last one first.
func (s *servers) stop() {
	for i := len(s.processes) - 1; i >= 0; i-- {
		s.processes[i].stop()
	}
}

// process is a server with its log.
type process struct {
	cmd   *exec.Cmd
	log   string
	ended chan struct{}
}

func (s *servers) process(ctx context.Context, env []string, program string, args ...string) error {
	if program == "" {
		return errors.New("name the programs of the test bed, as hack/make/scale does")
	}
	p := &process{cmd: exec.Command(program, args...), log: filepath.Join(s.dir, filepath.Base(program)+".log"), ended: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		return err
	}
	defer log.Close()
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.Dir = log, log, s.dir
	p.cmd.Env = append(os.Environ(), env...)
	// An interrupt from a terminal goes to the whole group: the servers end when the measurement has.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := p.cmd.Start(); err != nil {
		return err
	}
	go func() { _ = p.cmd.Wait(); close(p.ended) }()
	s.processes = append(s.processes, p)
	return nil
}

// failure says what a server that ended had to say.
func (p *process) failure() error {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err
	}
	return fmt.Errorf("%s: %s\n%s", filepath.Base(p.cmd.Path), p.cmd.ProcessState, text[max(0, len(text)-2000):])
}

// stop ends a server. Nothing that it could still write matters.
func (p *process) stop() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// freePorts returns ports of this machine that nobody listens on.
func freePorts(n int) ([]int, error) {
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer func() { _ = l.Close() }()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}
