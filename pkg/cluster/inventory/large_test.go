package inventory

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
)

// The size of the cluster that is served by a process of its own, and the memory that reading it may take.
const (
	largeNodes       = 5_000
	largeDeployments = 20_000
	largePods        = 100_000
	largeLimit       = 300 << 20
)

// TestMain is this test, the API server that it reads, or the program whose memory is measured: each a process.
func TestMain(m *testing.M) {
	switch os.Getenv("INVENTORY_TEST_AS") {
	case "server":
		serveLarge()
	case "reader":
		readLarge()
	default:
		os.Exit(m.Run())
	}
}

// TestLarge reads a large cluster within the memory that a laptop can spare.
func TestLarge(t *testing.T) {
	if os.Getenv("KUBECTL_RUNTIME_LARGE") == "" {
		t.Skip("takes a minute, and make bench asks for it by KUBECTL_RUNTIME_LARGE")
	}
	server := as("server")
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Process.Kill(); _ = server.Wait() }()
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	reader := as("reader")
	reader.Env = append(reader.Env, "INVENTORY_TEST_URL="+strings.TrimSpace(url))
	answer, err := reader.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, answer)
	}
	t.Logf("%s", answer)
	var workloads, pods int
	var peak int64
	if _, err := fmt.Sscanf(string(answer), "workloads %d pods %d peak %d", &workloads, &pods, &peak); err != nil {
		t.Fatalf("%v in %q", err, answer)
	}
	if workloads != largeDeployments || pods != largePods {
		t.Errorf("%d workloads, %d pods", workloads, pods)
	}
	if peak > largeLimit {
		t.Errorf("it took %d MiB", peak>>20)
	}
}

func as(what string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "INVENTORY_TEST_AS="+what)
	cmd.Stderr = nil
	return cmd
}

// readLarge reads the cluster and tells what that took.
func readLarge() {
	config := &rest.Config{Host: os.Getenv("INVENTORY_TEST_URL"), QPS: -1}
	config.AcceptContentTypes, config.ContentType = runtime.ContentTypeProtobuf+",application/json", "application/json"
	debug.SetGCPercent(GCPercent)
	began := time.Now()
	inv, err := Read(context.Background(), Clients{kubernetes.NewForConfigOrDie(config), metadata.NewForConfigOrDie(config)}, Options{})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	pods := 0
	for _, w := range inv.Workloads {
		pods += len(w.Pods)
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kib, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	fmt.Printf("workloads %d pods %d peak %d took %s unread %q\n", len(inv.Workloads), pods, kib<<10, time.Since(began).Round(time.Millisecond), inv.Unread)
	os.Exit(0)
}

// serveLarge serves lists, as protobuf, of objects that it makes for each page.
func serveLarge() {
	codec := protobuf.NewSerializer(scheme.Scheme, scheme.Scheme)
	list := func(w http.ResponseWriter, r *http.Request, gv schema.GroupVersion, total int, page func(from, to int, meta metav1.ListMeta) runtime.Object) {
		from, _ := strconv.Atoi(r.URL.Query().Get("continue"))
		limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
		to := min(from+limit, total)
		meta := metav1.ListMeta{ResourceVersion: "1"}
		if to < total {
			meta.Continue = strconv.Itoa(to)
		}
		w.Header().Set("Content-Type", runtime.ContentTypeProtobuf)
		_ = scheme.Codecs.EncoderForVersion(codec, gv).Encode(page(from, to, meta), w)
	}
	mux := http.NewServeMux()
	core, apps := corev1.SchemeGroupVersion, appsv1.SchemeGroupVersion
	mux.HandleFunc("/api/v1/pods", func(w http.ResponseWriter, r *http.Request) {
		list(w, r, core, largePods, func(from, to int, meta metav1.ListMeta) runtime.Object {
			l := &corev1.PodList{ListMeta: meta}
			for i := from; i < to; i++ {
				l.Items = append(l.Items, largePod(i))
			}
			return l
		})
	})
	mux.HandleFunc("/api/v1/nodes", func(w http.ResponseWriter, r *http.Request) {
		list(w, r, core, largeNodes, func(from, to int, meta metav1.ListMeta) runtime.Object {
			l := &corev1.NodeList{ListMeta: meta}
			for i := from; i < to; i++ {
				l.Items = append(l.Items, largeNode(i))
			}
			return l
		})
	})
	mux.HandleFunc("/api/v1/configmaps", func(w http.ResponseWriter, r *http.Request) {
		list(w, r, core, largeDeployments/4, func(from, to int, meta metav1.ListMeta) runtime.Object {
			l := &corev1.ConfigMapList{ListMeta: meta}
			for i := from; i < to; i++ {
				l.Items = append(l.Items, corev1.ConfigMap{
					ObjectMeta: metav1.ObjectMeta{Namespace: namespaceOf(i), Name: fmt.Sprintf("app-%d", i)},
					Data:       map[string]string{"run.sh": strings.Repeat("echo started\n", 100)},
				})
			}
			return l
		})
	})
	mux.HandleFunc("/apis/apps/v1/deployments", func(w http.ResponseWriter, r *http.Request) {
		list(w, r, apps, largeDeployments, func(from, to int, meta metav1.ListMeta) runtime.Object {
			l := &appsv1.DeploymentList{ListMeta: meta}
			for i := from; i < to; i++ {
				replicas := int32(5)
				l.Items = append(l.Items, appsv1.Deployment{ObjectMeta: largeMeta("app", i, 'd', ""), Spec: appsv1.DeploymentSpec{Replicas: &replicas, Template: corev1.PodTemplateSpec{
					ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": fmt.Sprintf("app-%d", i), "team": namespaceOf(i)}}, Spec: largeSpec(i),
				}}})
			}
			return l
		})
	})
	mux.HandleFunc("/apis/apps/v1/replicasets", func(w http.ResponseWriter, r *http.Request) {
		// One that runs and two old revisions of each Deployment.
		list(w, r, apps, 3*largeDeployments, func(from, to int, meta metav1.ListMeta) runtime.Object {
			l := &appsv1.ReplicaSetList{ListMeta: meta}
			for i := from; i < to; i++ {
				replicas := int32(0)
				if i < largeDeployments {
					replicas = 5
				}
				l.Items = append(l.Items, appsv1.ReplicaSet{ObjectMeta: largeMeta("app-rs", i, 'e', largeUID('d', i%largeDeployments)), Spec: appsv1.ReplicaSetSpec{
					Replicas: &replicas, Template: corev1.PodTemplateSpec{Spec: largeSpec(i)},
				}})
			}
			return l
		})
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403}`)
	})
	fmt.Println(httptest.NewServer(mux).URL)
	select {}
}

func namespaceOf(i int) string { return fmt.Sprintf("team-%d", i%200) }

func largeUID(kind byte, i int) types.UID {
	return types.UID(fmt.Sprintf("%c%07x-0000-4000-8000-%012x", kind, i, i))
}

func largeMeta(name string, i int, kind byte, owner types.UID) metav1.ObjectMeta {
	yes := true
	meta := metav1.ObjectMeta{
		Namespace: namespaceOf(i), Name: fmt.Sprintf("%s-%d", name, i), UID: largeUID(kind, i), ResourceVersion: "1",
		Labels:        map[string]string{"app": fmt.Sprintf("app-%d", i)},
		Annotations:   map[string]string{"kubectl.kubernetes.io/last-applied-configuration": strings.Repeat("x", 1500)},
		ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl", Operation: metav1.ManagedFieldsOperationApply, FieldsV1: metav1.NewFieldsV1("{" + strings.Repeat(" ", 1500) + "}")}},
	}
	if owner != "" {
		meta.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: map[byte]string{'e': "Deployment", 'f': "ReplicaSet"}[kind], Name: "x", UID: owner, Controller: &yes}}
	}
	return meta
}

func largeSpec(i int) corev1.PodSpec {
	one := int64(1)
	return corev1.PodSpec{
		ServiceAccountName: "default",
		Containers: []corev1.Container{{
			Name: "app", Image: fmt.Sprintf("registry.example/team-%d/app:%d", i%200, i%50), Command: []string{"/bin/app"}, Args: []string{"--listen=:8080", fmt.Sprintf("--id=%d", i)},
			Env: []corev1.EnvVar{
				{Name: "LOG_LEVEL", Value: "info"},
				{Name: "APP_ID", Value: fmt.Sprint(i)},
				{Name: "POD_IP", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "status.podIP"}}},
			},
			Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}}, VolumeMounts: []corev1.VolumeMount{{Name: "config", MountPath: "/etc/app"}, {Name: "tmp", MountPath: "/tmp"}},
			LivenessProbe:   &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/healthz", Port: intstr.FromInt32(8080)}}},
			SecurityContext: &corev1.SecurityContext{RunAsUser: &one},
		}, {Name: "proxy", Image: "registry.example/proxy:1", VolumeMounts: []corev1.VolumeMount{{Name: "tmp", MountPath: "/tmp"}}}},
		Volumes: []corev1.Volume{
			{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: fmt.Sprintf("app-%d", i%(largeDeployments/4))}}}},
			{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
		},
		Tolerations: []corev1.Toleration{{Key: "a"}, {Key: "b"}},
	}
}

func largePod(i int) corev1.Pod {
	d := i % largeDeployments
	p := corev1.Pod{ObjectMeta: largeMeta("app-pod", i, 'f', largeUID('e', d)), Spec: largeSpec(d)}
	p.Namespace = namespaceOf(d)
	p.Spec.NodeName = fmt.Sprintf("node-%d", i%largeNodes)
	p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: fmt.Sprintf("kube-api-access-%d", i), VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
		Sources: []corev1.VolumeProjection{{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "kube-root-ca.crt"}}}},
	}}})
	p.Status = corev1.PodStatus{Phase: corev1.PodRunning, PodIP: "10.0.0.1", Conditions: make([]corev1.PodCondition, 5), ContainerStatuses: []corev1.ContainerStatus{
		{Name: "app", Image: p.Spec.Containers[0].Image, ImageID: strings.Repeat("a", 100), ContainerID: strings.Repeat("b", 80)}, {Name: "proxy", ImageID: strings.Repeat("a", 100)},
	}}
	return p
}

func largeNode(i int) corev1.Node {
	n := corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("node-%d", i)}}
	n.Status.NodeInfo.ContainerRuntimeVersion = "containerd://2.2.1"
	for k := range 50 {
		n.Status.Images = append(n.Status.Images, corev1.ContainerImage{Names: []string{fmt.Sprintf("registry.example/team/app@sha256:%064d", k), fmt.Sprintf("registry.example/team/app:%d", k)}, SizeBytes: 1})
	}
	return n
}
