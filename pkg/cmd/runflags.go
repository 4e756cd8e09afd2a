package cmd

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
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

// imageUsage is the help on --image. The pod is privileged, so what is said of the image must hold: see hostpod.ChooseImage.
const imageUsage = "Image of the pods on the nodes; the host's programs run in it as root, so name only one that you trust " +
	"(default one that the node holds and that Kubernetes or kube-system itself uses)"

// add adds the flags that every such verb has.
func (f *runFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVarP(&f.yes, "yes", "y", false, "Don't ask")
	flags.StringVarP(&f.format, "output", "o", "", "Print the plans on stdout as documents: json or yaml (of several nodes a list); everything else goes to stderr")
	flags.StringVar(&f.image, "image", "", imageUsage)
	flags.DurationVar(&f.confirmTimeout, "confirm-timeout", defaultConfirm, "How long a changed node waits to be verified before it rolls back automatically; it can't be infinite")
	flags.DurationVar(&f.stageTimeout, "stage-timeout", defaultStage, "The length of time to wait for a node to be prepared, pulling images included, before giving up, zero means infinite; nothing that serves is changed by then")
	flags.Var(&f.evacuationGrace, "evacuation-grace", "The most of their own termination grace period that pods of DaemonSets and static pods get while the node is switched, zero means infinite "+
		"(default the longest of them, up to "+duration.HumanDuration(workload.EvacuationGrace)+")")
	flags.DurationVar(&f.drainTimeout, "drain-timeout", defaultDrain, "The length of time to wait for a node to drain before giving up, zero means infinite")
	flags.BoolVar(&f.ignoreDaemonSets, "ignore-daemonsets", true, "Ignore DaemonSet-managed pods; always true")
	flags.BoolVar(&f.deleteEmptyDirData, "delete-emptydir-data", false, "Continue even if there are pods using emptyDir (local data that will be deleted when the node is drained)")
	flags.BoolVar(&f.force, "force", false, "Continue even if there are pods that do not declare a controller")
	flags.IntVar(&f.gracePeriod, "grace-period", -1, "Period of time in seconds given to each pod to terminate gracefully. If negative, the default value specified in the pod will be used")
	flags.BoolVar(&f.disableEviction, "disable-eviction", false, "Force drain to use delete, even if eviction is supported. This will bypass checking PodDisruptionBudgets, use with caution")
	flags.IntVar(&f.skipWaitForDelete, "skip-wait-for-delete-timeout", 0, "If pod DeletionTimestamp older than N seconds, skip waiting for the pod. Seconds must be greater than 0 to skip")
	flags.StringVar(&f.podSelector, "pod-selector", "", "Label selector to filter pods on the node")
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
		return nil, fmt.Errorf("--confirm-timeout %s is too short: no node can be verified in less than %s, and none may wait forever", f.confirmTimeout, leastConfirm)
	case f.stageTimeout < 0:
		return nil, fmt.Errorf("--stage-timeout %s is negative: zero means infinite", f.stageTimeout)
	case f.drainTimeout < 0:
		return nil, fmt.Errorf("--drain-timeout %s is negative: zero means infinite", f.drainTimeout)
	case f.evacuationGrace.value < 0:
		return nil, fmt.Errorf("--evacuation-grace %s is negative: zero means infinite", f.evacuationGrace.value)
	case f.evacuationGrace.value > v1alpha1.MostGrace:
		return nil, fmt.Errorf("--evacuation-grace %s is too long: no node stays without a kubelet for more than %s", f.evacuationGrace.value, v1alpha1.MostGrace)
	case f.skipWaitForDelete < 0:
		return nil, fmt.Errorf("--skip-wait-for-delete-timeout %d is negative: zero waits for all pods", f.skipWaitForDelete)
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

// The defaults of the timeouts. Nowhere else is there any: behind the flags zero means infinite.
const (
	defaultConfirm = 5 * time.Minute
	defaultStage   = 30 * time.Minute
	defaultDrain   = 10 * time.Minute
)

// leastConfirm keeps a typing error from making a run that can only go back.
const leastConfirm = 10 * time.Second
