package cmd

import (
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/rollout"
)

// TestEvacuationGrace: both verbs that change nodes have the flag, and its zero is no default but infinite.
func TestEvacuationGrace(t *testing.T) {
	p := testProgram("")
	for name, verb := range map[string]*cobra.Command{"switch": p.newSwitch(), "rollback": p.newRollback()} {
		flag := verb.Flags().Lookup("evacuation-grace")
		if flag == nil || !strings.Contains(flag.Usage, "(default the longest of them, up to 2m)") || flag.DefValue != "" {
			t.Errorf("%s: %+v", name, flag)
		}
	}
	for _, tt := range []struct {
		args []string
		want time.Duration
		err  string
	}{
		{nil, 0, ""},
		{[]string{"--evacuation-grace=0"}, rollout.NoGraceLimit, ""},
		{[]string{"--evacuation-grace=0s"}, rollout.NoGraceLimit, ""},
		{[]string{"--evacuation-grace", "5m"}, 5 * time.Minute, ""},
		{[]string{"--evacuation-grace=-1s"}, 0, "is negative: zero means infinite"},
		{[]string{"--evacuation-grace=24h"}, 24 * time.Hour, ""},
		{[]string{"--evacuation-grace=24h1s"}, 0, "is too long"},
		{[]string{"--evacuation-grace=2000000h"}, 0, "is too long"},
		{[]string{"--evacuation-grace=soon"}, 0, "invalid duration"},
	} {
		f, cmd := runFlags{}, &cobra.Command{}
		f.add(cmd)
		err := cmd.ParseFlags(tt.args)
		var o *runOptions
		if err == nil {
			o, err = f.toOptions(p, dryRunServer)
		}
		switch {
		case tt.err != "":
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%v: %v", tt.args, err)
			}
		case err != nil || o.engine.EvacuationGrace != tt.want:
			t.Errorf("%v: %v, %+v", tt.args, err, o)
		}
	}
}

// TestTimeouts: what is typed reaches the engine as it is; zero means infinite there, and the defaults are the flags' own.
func TestTimeouts(t *testing.T) {
	for name, c := range map[string]struct {
		args                  []string
		confirm, stage, drain time.Duration
	}{
		"defaults": {nil, 5 * time.Minute, 30 * time.Minute, 10 * time.Minute},
		"infinite": {[]string{"--stage-timeout", "0", "--drain-timeout", "0"}, 5 * time.Minute, 0, 0},
		"typed":    {[]string{"--confirm-timeout", "1m", "--stage-timeout", "2m", "--drain-timeout", "3m"}, time.Minute, 2 * time.Minute, 3 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			f, cmd := &runFlags{}, &cobra.Command{}
			f.add(cmd)
			if err := cmd.ParseFlags(append(c.args, "--yes")); err != nil {
				t.Fatal(err)
			}
			streams, _, _, _ := genericiooptions.NewTestIOStreams()
			o, err := f.toOptions(newProgram(Front{Streams: streams, Getenv: func(string) string { return "" }}), dryRunNone)
			if err != nil {
				t.Fatal(err)
			}
			if e := o.engine; e.ConfirmTimeout != c.confirm || e.StageTimeout != c.stage || e.Drain.Timeout != c.drain {
				t.Errorf("confirm %s, stage %s, drain %s", e.ConfirmTimeout, e.StageTimeout, e.Drain.Timeout)
			}
		})
	}
}
