package layout

import (
	"strconv"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// Case is a node and where it is to go.
type Case struct {
	Name string
	Node Node
	To   v1alpha1.RuntimeName
	// Refused says that the combination is impossible: the plan must be refused.
	Refused bool
}

// kubelets are the generations that differ in what they are told and how.
var kubelets = []string{"1.20.15", "1.23.17", "1.24.17", "1.26.15", "1.27.16", "1.31.14", "1.34.4", "1.35.4", "1.37.2"}

// ranges are the minors for which an installer exists.
var ranges = []struct {
	installer Installer
	from, to  int
}{
	{KubeadmOld, 20, 27}, {KubeadmNew, 24, 37}, {Kubespray, 20, 37}, {KubeKey, 20, 35}, {Kind, 34, 34},
}

var pairs = [][2]v1alpha1.RuntimeName{
	{v1alpha1.Containerd, v1alpha1.CRIO},
	{v1alpha1.Containerd, v1alpha1.Docker},
	{v1alpha1.CRIO, v1alpha1.Containerd},
	{v1alpha1.CRIO, v1alpha1.Docker},
	{v1alpha1.Docker, v1alpha1.Containerd},
	{v1alpha1.Docker, v1alpha1.CRIO},
}

// All returns every meaningful combination, refusals included.
func All() []Case {
	var out []Case
	for _, r := range ranges {
		for _, kubelet := range kubelets {
			minor := minorOf(kubelet)
			if minor < r.from || minor > r.to {
				continue
			}
			for _, p := range pairs {
				n := Node{Kubelet: kubelet, Installer: r.installer, Runtime: p[0], Also: []v1alpha1.RuntimeName{p[1]}}
				if p[1] == v1alpha1.Docker && p[0] != v1alpha1.Containerd || p[0] == v1alpha1.Docker && p[1] != v1alpha1.Containerd {
					// Docker comes with containerd.
					n.Also = append(n.Also, v1alpha1.Containerd)
				}
				out = append(out, Case{
					Name: string(r.installer) + "-1." + strconv.Itoa(minor) + "/" + string(p[0]) + "-to-" + string(p[1]),
					Node: n, To: p[1], Refused: p[0] == v1alpha1.Docker && minor <= 23, // leaving dockershim isn't supported
				})
			}
		}
	}
	return out
}
