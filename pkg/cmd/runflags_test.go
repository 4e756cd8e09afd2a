package cmd

import (
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

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
		{[]string{"--evacuation-grace=-1s"}, 0, "must not be negative"},
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
