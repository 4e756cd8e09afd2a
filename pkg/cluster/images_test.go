package cluster

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/apitest"
)

func user(name string) v1alpha1.RegistryAuth {
	return v1alpha1.RegistryAuth{Username: name, Password: "secret"}
}

func configSecret(name, config string) *corev1.Secret {
	return &corev1.Secret{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}, ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: name},
		Type: corev1.SecretTypeDockerConfigJson, Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte(config)},
	}
}

func TestKeyring(t *testing.T) {
	encoded := base64.StdEncoding.EncodeToString([]byte("encoded:pass:word"))
	ring, err := parseSecret(configSecret("x", `{"auths": {
		"https://index.docker.io/v1/": {"username": "hub", "password": "secret"},
		"registry.example": {"username": "host", "password": "secret"},
		"registry.example/team": {"username": "team", "password": "secret"},
		"https://registry.example/team/project/": {"username": "project", "password": "secret"},
		"http://port.example:5000/v2/": {"auth": "`+encoded+`"},
		"*.wild.example": {"username": "wild", "password": "secret"},
		"exact.wild.example": {"username": "exact", "password": "secret"},
		"token.example": {"identitytoken": "id", "registrytoken": "reg"}
	}}`))
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string][]v1alpha1.RegistryAuth{
		"nginx":                                   {user("hub")},
		"bitnami/nginx:1@sha256:00":               {user("hub")},
		"docker.io/nginx":                         {user("hub")},
		"index.docker.io/library/nginx:1":         {user("hub")},
		"registry.example/app":                    {user("host")},
		"registry.example/team/app:2":             {user("team"), user("host")},
		"registry.example/team/project/app":       {user("project"), user("team"), user("host")},
		"registry.example:443/app":                nil,
		"port.example:5000/app":                   {{Username: "encoded", Password: "pass:word"}},
		"port.example/app":                        nil,
		"a.wild.example/app":                      {user("wild")},
		"exact.wild.example/app":                  {user("exact"), user("wild")},
		"a.b.wild.example/app":                    nil,
		"token.example/app":                       {{IdentityToken: "id", RegistryToken: "reg"}},
		"localhost/app":                           nil,
		"registry.example.evil.example/team/app":  nil,
		"evil.example/registry.example/team/app2": nil,
	}
	for image, want := range tests {
		if diff := cmp.Diff(want, ring.lookup(image)); diff != "" {
			t.Errorf("%s, -want +got:\n%s", image, diff)
		}
	}
}

func TestParseSecret(t *testing.T) {
	t.Run("the old type", func(t *testing.T) {
		ring, err := parseSecret(&corev1.Secret{Type: corev1.SecretTypeDockercfg, Data: map[string][]byte{
			corev1.DockerConfigKey: []byte(`{"registry.example": {"username": "old", "password": "secret", "email": "x"}}`),
		}})
		if diff := cmp.Diff([]v1alpha1.RegistryAuth{user("old")}, ring.lookup("registry.example/x")); err != nil || diff != "" {
			t.Errorf("%v, -want +got:\n%s", err, diff)
		}
	})
	for name, s := range map[string]*corev1.Secret{
		"another type": {Type: corev1.SecretTypeOpaque},
		"not JSON":     configSecret("x", `{"auths": {"r": "hunter2"`),
		"odd entry":    configSecret("x", `{"auths": {"r": "hunter2"}}`),
		"not base64":   configSecret("x", `{"auths": {"r": {"auth": "hunter2 %"}}}`),
		"no colon":     configSecret("x", `{"auths": {"r": {"auth": "aHVudGVyMg=="}}}`),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseSecret(s)
			if err == nil || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func resident1(name, kind string, ready bool, images ...string) corev1.Pod {
	pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: name}}
	if kind == "static" {
		pod.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"}
	} else {
		pod.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: kind, Name: name, Controller: new(true)}}
	}
	for _, image := range images {
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Image: image})
	}
	if ready {
		pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	}
	return pod
}

// TestRepulled: only what every container pulls at each start is the registry's matter.
func TestRepulled(t *testing.T) {
	with := func(name string, policies ...corev1.PullPolicy) corev1.Pod {
		p := resident1(name, "DaemonSet", true, "a:1", "b:1")
		for i, policy := range policies {
			p.Spec.Containers[i].ImagePullPolicy = policy
		}
		return p
	}
	for name, tt := range map[string]struct {
		pods []corev1.Pod
		own  []Own
		want map[string]bool
	}{
		"one pod":     {pods: []corev1.Pod{with("x", corev1.PullAlways, corev1.PullIfNotPresent)}, want: map[string]bool{"a:1": true}},
		"no policy":   {pods: []corev1.Pod{with("x")}, want: map[string]bool{}},
		"all of them": {pods: []corev1.Pod{with("x", corev1.PullAlways), with("y", corev1.PullAlways)}, want: map[string]bool{"a:1": true}},
		"not all":     {pods: []corev1.Pod{with("x", corev1.PullAlways, corev1.PullAlways), with("y", corev1.PullNever, corev1.PullAlways)}, want: map[string]bool{"b:1": true}},
		"our own too": {pods: []corev1.Pod{with("x", corev1.PullAlways)}, own: []Own{{Ref: "a:1"}}, want: map[string]bool{}},
	} {
		t.Run(name, func(t *testing.T) {
			list, _ := WantedImages(t.Context(), nil, tt.pods, tt.own, false)
			have := map[string]bool{}
			for _, i := range list {
				if i.Repulled {
					have[i.Ref] = true
				}
			}
			if diff := cmp.Diff(tt.want, have); diff != "" {
				t.Errorf("(-want +have)\n%s", diff)
			}
		})
	}
}

func TestWantedImages(t *testing.T) {
	api := apitest.New(t)
	api.Put("secrets", configSecret("pull", `{"auths": {"registry.example": {"username": "pod", "password": "secret"}}}`))
	api.Put("secrets", configSecret("account", `{"auths": {"registry.example": {"username": "account", "password": "secret"}}}`))
	api.Put("serviceaccounts", &corev1.ServiceAccount{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"}, ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "agent"},
		ImagePullSecrets: []corev1.LocalObjectReference{{Name: "account"}},
	})
	log := resident1("log", "DaemonSet", true, "registry.example/log:1", "docker.io/library/side:1")
	log.Spec.InitContainers = []corev1.Container{{Image: "registry.example/init:1"}}
	log.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "pull"}, {Name: "missing"}}
	log.Spec.ServiceAccountName = "agent"
	pods := []corev1.Pod{
		log, resident1("broken", "DaemonSet", false, "registry.example/broken:1"), resident1("etcd", "static", true, "registry.k8s.io/etcd:3"),
		resident1("web", "ReplicaSet", true, "registry.example/web:1"),
	}
	own := []Own{{Ref: "registry.k8s.io/pause:3.10", For: "the proof"}}
	both := []v1alpha1.RegistryAuth{user("pod"), user("account")}
	tests := map[string]struct {
		secrets  bool
		want     []v1alpha1.WantedImage
		warnings []string
	}{
		"with secrets": {secrets: true, want: []v1alpha1.WantedImage{
			{Ref: "registry.k8s.io/pause:3.10", Required: true, For: "the proof"},
			{Ref: "registry.k8s.io/etcd:3", Required: true, For: "kube-system/etcd"},
			{Ref: "registry.example/broken:1", For: "kube-system/broken"},
			{Ref: "registry.example/init:1", Auths: both, Required: true, For: "kube-system/log"},
			{Ref: "registry.example/log:1", Auths: both, Required: true, For: "kube-system/log"},
			{Ref: "docker.io/library/side:1", Required: true, For: "kube-system/log"},
		}},
		"without": {
			want: []v1alpha1.WantedImage{
				{Ref: "registry.k8s.io/pause:3.10", Required: true, For: "the proof"},
				{Ref: "registry.k8s.io/etcd:3", Required: true, For: "kube-system/etcd"},
				{Ref: "registry.example/broken:1", For: "kube-system/broken"},
				{Ref: "registry.example/init:1", Required: true, For: "kube-system/log"},
				{Ref: "registry.example/log:1", Required: true, For: "kube-system/log"},
				{Ref: "docker.io/library/side:1", Required: true, For: "kube-system/log"},
			},
			warnings: []string{"pull secrets can't be read: images are pulled without them, or taken from the node"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, warnings := WantedImages(t.Context(), api.Client(), pods, own, tt.secrets)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if diff := cmp.Diff(tt.warnings, warnings); diff != "" {
				t.Errorf("warnings, -want +got:\n%s", diff)
			}
		})
	}
}

// Pods that come back to the node bring what no registry may have.
func TestWantedImagesOfTiedPods(t *testing.T) {
	pod := func(name string, change func(*corev1.Pod)) corev1.Pod {
		p := resident1(name, "ReplicaSet", true, "registry.example/"+name+":1")
		change(&p)
		return p
	}
	affine := func(term corev1.NodeSelectorTerm) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
				RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{term}},
			}}
		}
	}
	requirement := func(key string, operator corev1.NodeSelectorOperator) []corev1.NodeSelectorRequirement {
		return []corev1.NodeSelectorRequirement{{Key: key, Operator: operator, Values: []string{"worker-1"}}}
	}
	pods := []corev1.Pod{
		pod("1-selector", func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{corev1.LabelHostname: "worker-1"} }),
		pod("2-affinity", affine(corev1.NodeSelectorTerm{MatchExpressions: requirement(corev1.LabelHostname, corev1.NodeSelectorOpIn)})),
		pod("3-field", affine(corev1.NodeSelectorTerm{MatchFields: requirement("metadata.name", corev1.NodeSelectorOpIn)})),
		pod("4-never", func(p *corev1.Pod) { p.Spec.Containers[0].ImagePullPolicy = corev1.PullNever }),
		pod("elsewhere", affine(corev1.NodeSelectorTerm{MatchExpressions: requirement(corev1.LabelHostname, corev1.NodeSelectorOpNotIn)})),
		pod("pool", affine(corev1.NodeSelectorTerm{MatchExpressions: requirement("pool", corev1.NodeSelectorOpIn)})),
		pod("done", func(p *corev1.Pod) {
			p.Spec.Containers[0].ImagePullPolicy = corev1.PullNever
			p.Status.Phase = corev1.PodSucceeded
		}),
	}
	got, _ := WantedImages(t.Context(), apitest.New(t).Client(), pods, nil, false)
	var want []v1alpha1.WantedImage
	for _, name := range []string{"1-selector", "2-affinity", "3-field", "4-never"} {
		want = append(want, v1alpha1.WantedImage{Ref: "registry.example/" + name + ":1", Required: true, For: "kube-system/" + name})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestResidents(t *testing.T) {
	got := Residents([]corev1.Pod{resident1("log", "DaemonSet", true), resident1("broken", "DaemonSet", false), resident1("etcd", "static", true), resident1("web", "ReplicaSet", true)})
	if diff := cmp.Diff([]string{"DaemonSet kube-system/log", "static pod kube-system/etcd"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestUnready(t *testing.T) {
	stopped := time.Date(2026, 11, 1, 12, 0, 10, 300e6, time.UTC)
	r := Restart{Stopped: stopped, Started: stopped.Add(time.Second), Scheme: "cri-o"}
	node := func(version string, status corev1.ConditionStatus, heartbeat time.Time) *corev1.Node {
		return &corev1.Node{Status: corev1.NodeStatus{
			NodeInfo:   corev1.NodeSystemInfo{ContainerRuntimeVersion: version},
			Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: status, Reason: "KubeletNotReady", LastHeartbeatTime: metav1.NewTime(heartbeat)}},
		}}
	}
	tests := map[string]struct {
		n    *corev1.Node
		want string
	}{
		"well":                      {node("cri-o://1.34.0", "True", stopped.Add(2*time.Second)), ""},
		"in the second of the stop": {node("cri-o://1.34.0", "True", stopped.Truncate(time.Second)), ""},
		"the old status":            {node("docker://28.5.2", "True", stopped.Add(-10*time.Second)), "the node still reports docker://28.5.2"},
		"an old heartbeat":          {node("cri-o://1.34.0", "True", stopped.Add(-10*time.Second)), "the node's status is older than the restart"},
		"not Ready":                 {node("cri-o://1.34.0", "False", stopped.Add(time.Second)), "the node isn't Ready: KubeletNotReady"},
		"no condition":              {&corev1.Node{Status: corev1.NodeStatus{NodeInfo: corev1.NodeSystemInfo{ContainerRuntimeVersion: "cri-o://1"}}}, "the node has no Ready condition"},
	}
	for name, tt := range tests {
		if got := unready(tt.n, r); got != tt.want {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}
