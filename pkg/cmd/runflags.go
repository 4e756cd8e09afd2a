package cmd

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/cluster"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/rollout"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/workload"
)

// runFlags are the flags of the verbs that change nodes.
type runFlags struct {
	yes            bool
	format         string
	image          string
	confirmTimeout time.Duration
	stageTimeout   time.Duration
	keepGoing      bool

	evacuationGrace optionalDuration

	drainTimeout       time.Duration
	ignoreDaemonSets   bool
	deleteEmptyDirData bool
	force              bool
	gracePeriod        int
	disableEviction    bool
	podSelector        string
	skipWaitForDelete  int
}

// runOptions are what these verbs work with.
type runOptions struct {
	yes     bool
	format  planFormat
	engine  rollout.Options
	confirm time.Duration
}

// add adds the flags that every such verb has.
func (f *runFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVarP(&f.yes, "yes", "y", false, "Don't ask")
	flags.StringVarP(&f.format, "output", "o", "", "Print the plans on stdout as documents: json or yaml (of several nodes a list); everything else goes to stderr")
	flags.StringVar(&f.image, "image", "", "Image of the pods on the nodes (default one that the node already holds); nothing of it is run but its name is needed")
	flags.DurationVar(&f.confirmTimeout, "confirm-timeout", defaultConfirm, "How long a changed node waits for the proof that it is well before it goes back by itself")
	flags.DurationVar(&f.stageTimeout, "stage-timeout", defaultStage, "How long preparing may take before anything that serves is changed, pulling images included")
	flags.Var(&f.evacuationGrace, "evacuation-grace", "The most of their own termination grace period that pods of DaemonSets and static pods get while the node is switched, zero means infinite "+
		"(default the longest of them, up to "+duration.HumanDuration(workload.EvacuationGrace)+")")
	flags.DurationVar(&f.drainTimeout, "drain-timeout", defaultDrain, "How long draining a node may take before it is given up and uncordoned; 0 is for ever")
	flags.BoolVar(&f.ignoreDaemonSets, "ignore-daemonsets", true, "As of kubectl drain; always true: pods of DaemonSets go with the node")
	flags.BoolVar(&f.deleteEmptyDirData, "delete-emptydir-data", false, "Move pods whose emptyDir volumes are lost by that")
	flags.BoolVar(&f.force, "force", false, "Move pods too that no controller would bring back")
	flags.IntVar(&f.gracePeriod, "grace-period", -1, "Seconds that pods get to end; -1 is their own")
	flags.BoolVar(&f.disableEviction, "disable-eviction", false, "Delete pods instead of evicting them: PodDisruptionBudgets are not asked")
	flags.IntVar(&f.skipWaitForDelete, "skip-wait-for-delete-timeout", 0, "Don't wait for pods that have been on their way out for more than so many seconds; 0 waits for all")
	flags.StringVar(&f.podSelector, "pod-selector", "", "Move only pods whose labels match")
}

// addSwitch adds those of switches of several nodes.
func (f *runFlags) addSwitch(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.keepGoing, "keep-going", false, "Go on to the next node when one failed and was rolled back cleanly")
}

func (f *runFlags) toOptions(p *program, dry dryRun) (*runOptions, error) {
	format, err := parsePlanFormat(f.format)
	if err != nil {
		return nil, err
	}
	switch {
	case !f.ignoreDaemonSets:
		return nil, errors.New("--ignore-daemonsets=false isn't possible: pods of DaemonSets go with the node, and come back with it")
	case f.confirmTimeout < leastConfirm:
		return nil, fmt.Errorf("--confirm-timeout %s is too short: no node can be proved well in less than %s", f.confirmTimeout, leastConfirm)
	case f.stageTimeout <= 0:
		return nil, errors.New("--stage-timeout must be more than 0")
	case f.drainTimeout < 0:
		return nil, errors.New("--drain-timeout must not be negative; 0 is for ever")
	case f.evacuationGrace.value < 0:
		return nil, errors.New("--evacuation-grace must not be negative; zero means infinite")
	case f.skipWaitForDelete < 0:
		return nil, errors.New("--skip-wait-for-delete-timeout must be 0 or more seconds")
	case f.gracePeriod < -1:
		return nil, errors.New("--grace-period must be -1 (the pods' own), 0 or more seconds")
	}
	if _, err := labels.Parse(f.podSelector); err != nil {
		return nil, fmt.Errorf("--pod-selector %q isn't a label selector: %w", f.podSelector, err)
	}
	o := &runOptions{yes: f.yes, format: format, confirm: f.confirmTimeout}
	if dry == dryRunNone && !f.yes && !p.ui().CanAsk() {
		return nil, errors.New("there is no terminal to ask at: add --yes, or look first with --dry-run=server")
	}
	drain := cluster.DrainOptions{
		Force: f.force, DeleteEmptyDirData: f.deleteEmptyDirData, DisableEviction: f.disableEviction,
		Timeout: f.drainTimeout, PodSelector: f.podSelector, SkipWaitForDelete: time.Duration(f.skipWaitForDelete) * time.Second,
	}
	if f.drainTimeout == 0 {
		drain.Timeout = -1
	}
	if f.gracePeriod >= 0 {
		grace := time.Duration(f.gracePeriod) * time.Second
		drain.GracePeriod = &grace
	}
	grace := f.evacuationGrace.value
	if f.evacuationGrace.set && grace == 0 {
		grace = rollout.NoGraceLimit
	}
	o.engine = rollout.Options{
		EvacuationGrace: grace,
		Namespace:       p.namespace(), Image: f.image, By: p.By, Program: p.Name, Version: built(), Abort: p.Abort,
		ConfirmTimeout: f.confirmTimeout, StageTimeout: f.stageTimeout, Drain: drain, KeepGoing: f.keepGoing,
	}
	return o, nil
}

// leastConfirm keeps a typing error from making a run that can only go back.
const leastConfirm = 10 * time.Second
