package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// The aims: how often as long as kubectl a command may take, and how much memory.
const (
	checkAim  = 1.5
	statusAim = 1.2
	memoryAim = 300 << 20
)

// sample is one run of a command.
type sample struct {
	took time.Duration
	// peak is the most memory that the process had, in bytes.
	peak int64
}

// command is what is measured: one or more programs, one after another.
type command struct {
	name, user, output string
	programs           [][]string
	samples            []sample
}

// listing lists with kubectl what check reads for its pods, templates and texts; check reads some more, of which there are fewer. It
// is a command for each kind, as kubectl holds everything that it lists: together they don't fit where one of them does.
func listing(kubectl string) *command {
	c := &command{name: "kubectl get … -A -o name", user: "kubectl"}
	for _, kind := range []string{
		"pods", "deployments", "replicasets", "statefulsets", "daemonsets", "jobs", "cronjobs", "podtemplates", "replicationcontrollers", "configmaps",
	} {
		c.programs = append(c.programs, []string{kubectl, "get", kind, "-A", "-o", "name"})
	}
	return c
}

// measure runs the commands in turn, prints what that says and fails where the plugin was wrong.
func measure(ctx context.Context, o *options, s *servers, r record) error {
	plugin, err := filepath.Abs(o.plugin)
	if err != nil {
		return err
	}
	list := listing(o.kubectl)
	check := &command{name: "check", user: "check", programs: [][]string{{plugin, "check", "--to", "containerd", "-o", "json", "--fail-on", "never"}}}
	nodes := &command{name: "kubectl get nodes", user: "kubectl", programs: [][]string{{o.kubectl, "get", "nodes"}}}
	status := &command{name: "status", user: "status", programs: [][]string{{plugin, "status"}}}
	// What comes first fills the caches, kubectl's own of the kinds among them, and isn't timed.
	commands := []*command{nodes, status, list, check}
	for i, c := range commands {
		c.output = filepath.Join(s.dir, fmt.Sprint("output-", i))
		if c != list {
			if _, err := c.run(ctx, s); err != nil {
				return err
			}
		}
	}
	for range o.rounds {
		for _, c := range commands {
			sample, err := c.run(ctx, s)
			if err != nil {
				return err
			}
			c.samples = append(c.samples, sample)
		}
		// Nor has anybody an advantage of coming second.
		slices.Reverse(commands)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "medians of %d\ttook\tpeak\tbeside\ttook\tpeak\tratio\taim\t\n", o.rounds)
	compare(w, check, list, checkAim)
	compare(w, status, nodes, statusAim)
	if err := w.Flush(); err != nil {
		return err
	}
	asked, err := readAudit(s.audit(), o.rounds+1)
	if err != nil {
		return err
	}
	return errors.Join(
		within(check), within(status),
		asked.judge("check", r.Objects), asked.judge("status", r.Nodes),
		judgeNodes(status.output, r), judgeList(list.output, r), judgeFindings(check.output, r),
	)
}

// run runs the command once.
func (c *command) run(ctx context.Context, s *servers) (sample, error) {
	out, err := os.Create(c.output)
	if err != nil {
		return sample{}, err
	}
	defer out.Close()
	var total sample
	for _, argv := range c.programs {
		var said bytes.Buffer
		cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
		cmd.Stdout, cmd.Stderr = out, &said
		cmd.Env = append(os.Environ(), "KUBECONFIG="+s.kubeconfig(c.user), "HOME="+s.dir)
		cmd.Env = append(cmd.Env, memoryLimit(80)...)
		began := time.Now()
		if err := cmd.Run(); err != nil {
			return sample{}, fmt.Errorf("%s: %w\n%s", strings.Join(argv, " "), err, said.String())
		}
		total.took += time.Since(began)
		usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
		if !ok {
			return sample{}, errors.New("this system doesn't tell how much memory a process had")
		}
		total.peak = max(total.peak, usage.Maxrss<<10) // Linux counts it in KiB
	}
	return total, nil
}

// memoryLimit tells a Go program to keep within a share, in percent, of the memory that is left, if it can: of a hundred thousand pods
// kubectl makes as much garbage as a small machine has memory. Nothing is said where that isn't known.
func memoryLimit(percent int64) []string {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return nil
	}
	_, after, _ := strings.Cut(string(text), "MemAvailable:")
	var kib int64
	if _, err := fmt.Sscan(after, &kib); err != nil {
		return nil
	}
	return []string{fmt.Sprint("GOMEMLIMIT=", kib<<10/100*percent)}
}

func (c *command) median() time.Duration {
	all := make([]time.Duration, len(c.samples))
	for i, s := range c.samples {
		all[i] = s.took
	}
	slices.Sort(all)
	return all[len(all)/2]
}

func (c *command) peak() int64 {
	most := int64(0)
	for _, s := range c.samples {
		most = max(most, s.peak)
	}
	return most
}

func compare(w *tabwriter.Writer, ours, kubectl *command, aim float64) {
	ratio := ours.median().Seconds() / kubectl.median().Seconds()
	verdict := ""
	if ratio > aim {
		verdict = "MISSED"
	}
	fmt.Fprintf(w, "%s\t%.2f s\t%d MiB\t%s\t%.2f s\t%d MiB\t%.2f\t%.1f\t%s\n", ours.name, ours.median().Seconds(), ours.peak()>>20,
		kubectl.name, kubectl.median().Seconds(), kubectl.peak()>>20, ratio, aim, verdict)
}

// within holds a command to the memory that it may take, which doesn't depend on what else the machine does.
func within(c *command) error {
	if c.peak() > memoryAim {
		return fmt.Errorf("%s took %d MiB of memory, and may take %d", c.name, c.peak()>>20, memoryAim>>20)
	}
	return nil
}

// judgeNodes holds status to a line for every node.
func judgeNodes(path string, r record) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if n := strings.Count(string(text), "\nnode-"); n != r.Nodes {
		return fmt.Errorf("status tells of %d nodes, there are %d", n, r.Nodes)
	}
	return nil
}

// judgeList holds kubectl to what it is compared for.
func judgeList(path string, r record) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	have := "\n" + string(text)
	if n := strings.Count(have, "\npod/"); n < r.Pods {
		return fmt.Errorf("kubectl listed %d pods, there are %d", n, r.Pods)
	}
	if n := strings.Count(have, "\ndeployment.apps/"); n != r.Deployments {
		return fmt.Errorf("kubectl listed %d Deployments, there are %d", n, r.Deployments)
	}
	return nil
}

// judgeFindings holds check to everything that must be found, and to nothing else.
func judgeFindings(path string, r record) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var report struct {
		Items []v1alpha1.Finding `json:"items"`
	}
	if err := json.Unmarshal(text, &report); err != nil {
		return fmt.Errorf("what check printed: %w", err)
	}
	var have []string
	for i := range report.Items {
		have = append(have, said(&report.Items[i]))
	}
	slices.Sort(have)
	return judge(r.Want, slices.Compact(have))
}

// judge compares sorted lists of what was wanted and what was found.
func judge(want, have []string) error {
	var err error
	right := 0
	for _, f := range want {
		if _, ok := slices.BinarySearch(have, f); ok {
			right++
		} else {
			err = errors.Join(err, fmt.Errorf("not found: %s", f))
		}
	}
	for _, f := range have {
		if _, ok := slices.BinarySearch(want, f); !ok {
			err = errors.Join(err, fmt.Errorf("found in vain: %s", f))
		}
	}
	fmt.Printf("findings: %d wanted, %d made; recall %.3f, precision %.3f\n", len(want), len(have), part(right, len(want)), part(right, len(have)))
	return err
}

func part(n, of int) float64 { return float64(n) / float64(max(of, 1)) }
