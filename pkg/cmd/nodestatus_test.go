package cmd

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// TestNodeStatusOfARun: a run is under way while its node is heard of and its time isn't over. After that status says what the node
// is, and what is known of the run.
func TestNodeStatusOfARun(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local)
	ago := func(d time.Duration) metav1.Time { return metav1.NewTime(now.Add(-d)) }
	type told struct {
		State  v1alpha1.NodeState
		Reason string
		Ready  bool
	}
	open := v1alpha1.LastRun{Run: "r-00000001", From: v1alpha1.Docker, To: v1alpha1.CRIO, Phase: v1alpha1.PhaseApplying, Until: now.Add(time.Minute)}
	late := open
	late.Until = now.Add(-time.Hour)
	dateless := open
	dateless.Until = time.Time{}
	back := late
	back.Phase = v1alpha1.PhaseRollingBack
	stuck := late
	stuck.Phase, stuck.Reason = v1alpha1.PhaseStuck, "/etc/x was written"
	done := late
	done.Phase, done.To = v1alpha1.PhaseConfirmed, v1alpha1.Docker
	for name, c := range map[string]struct {
		ready corev1.ConditionStatus
		heard time.Duration
		run   v1alpha1.LastRun
		want  told
	}{
		"under way":                        {corev1.ConditionTrue, time.Minute, open, told{"Switching", "to cri-o: applying", true}},
		"its kubelet is away":              {corev1.ConditionFalse, time.Minute, open, told{"Switching", "to cri-o: applying", false}},
		"not heard of":                     {corev1.ConditionUnknown, time.Minute, open, told{"NotReady", "not heard of since 2026-03-01 11:59:00; run r-00000001 to cri-o was last known to be applying", false}},
		"not heard of while it rolls back": {corev1.ConditionUnknown, 3 * time.Hour, back, told{"NotReady", "not heard of since 2026-03-01 09:00:00; run r-00000001 to cri-o was last known to be rollingBack", false}},
		"nobody marks it":                  {corev1.ConditionTrue, time.Hour, open, told{"NotReady", "not heard of since 2026-03-01 11:00:00; run r-00000001 to cri-o was last known to be applying", false}},
		"its time is over":                 {corev1.ConditionTrue, time.Minute, late, told{"Settled", "run r-00000001 to cri-o was last known to be applying, and has not told its end, which was due at 2026-03-01 11:00:00", true}},
		"over, and not Ready":              {corev1.ConditionFalse, time.Minute, late, told{"NotReady", "no network; run r-00000001 to cri-o was last known to be applying", false}},
		"of an earlier version":            {corev1.ConditionTrue, time.Minute, dateless, told{"Switching", "to cri-o: applying", true}},
		"stuck stays stuck":                {corev1.ConditionUnknown, time.Hour, stuck, told{"Stuck", "/etc/x was written", false}},
		"no run, and not heard of":         {corev1.ConditionUnknown, time.Hour, done, told{"NotReady", "not heard of since 2026-03-01 11:00:00", false}},
	} {
		t.Run(name, func(t *testing.T) {
			text, err := json.Marshal(c.run)
			if err != nil {
				t.Fatal(err)
			}
			s := nodeStatus(&corev1.Node{
				ObjectMeta: metav1.ObjectMeta{Name: "n", Annotations: map[string]string{v1alpha1.LastRunAnnotation: string(text)}},
				Status: corev1.NodeStatus{
					NodeInfo:   corev1.NodeSystemInfo{ContainerRuntimeVersion: "docker://28.5.2"},
					Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: c.ready, Message: "no network", LastHeartbeatTime: ago(c.heard)}},
				},
			}, now)
			if diff := cmp.Diff(c.want, told{s.State, s.Reason, s.Ready}); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
