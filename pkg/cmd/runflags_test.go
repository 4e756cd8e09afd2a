package cmd

import (
	"testing"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

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
