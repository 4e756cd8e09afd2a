package kubelet

import (
	"testing"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// FuzzRetarget gives a node any files: what isn't refused leads to the new endpoint, and nothing panics.
func FuzzRetarget(f *testing.F) {
	for _, l := range []layout{
		newDeb("1.34.4", pause, ctd), newDeb("1.30.14", "--container-runtime-endpoint="+ctd, "\"\""), oldDeb("1.23.17", "--network-plugin=cni"), kind("1.34.4"),
		kubeKey("1.28.15", "--container-runtime-endpoint="+ctd, "--v=2"),
	} {
		f.Add(l.version, l.files[l.dropIns[0]], l.files[kubeadmFlags], l.files[defaultEnv], l.files[kubeadmConfig], l.files[instanceConfig], l.files[crictlConfig], uint8(0))
	}
	f.Fuzz(func(t *testing.T, version, dropIn, flags, extra, config, instance, crictl string, target uint8) {
		l := newDeb(version, "", "").with(map[string]string{kubeadmFlags: flags, defaultEnv: extra, kubeadmConfig: config, instanceConfig: instance, crictlConfig: crictl})
		l.files[l.dropIns[0]] = dropIn
		to := []v1alpha1.RuntimeRef{ref(v1alpha1.CRIO), ref(v1alpha1.Docker), shim(), ref(v1alpha1.Containerd)}[target%4]
		facts := l.facts(t)
		v, err := Analyze(facts)
		if err != nil {
			return
		}
		from := v1alpha1.RuntimeRef{Name: "old", Endpoint: v.Endpoint}
		if from.Endpoint == "" {
			from.Endpoint = ctd
		}
		states, findings, err := Retarget(facts, v, from, to)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range findings {
			if x.Severity == v1alpha1.SeverityError {
				if states != nil {
					t.Error("refused, with files")
				}
				return
			}
		}
		then := l.with(l.after(t, states))
		then.argv = nil
		v, err = Analyze(then.facts(t))
		if err != nil || !SameSocket(v.Endpoint, to.Endpoint) || len(v.Problems) > 0 {
			t.Fatalf("%v: arrived at %s, %q", err, v.Endpoint, v.Problems)
		}
	})
}
