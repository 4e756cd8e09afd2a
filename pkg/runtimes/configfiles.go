package runtimes

import "github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"

// ConfigFiles are the files that the daemon of a unit reads once, when it starts.
func (d Description) ConfigFiles(f *v1alpha1.Facts, unit string) []string {
	var out []string
	switch unit {
	case containerdUnit:
		for _, x := range readContainerd(f).files {
			out = append(out, x.path)
		}
	case crioUnit:
		for _, x := range readCRIO(f).files {
			out = append(out, x.path)
		}
	case dockerUnit:
		if x, ok := follow(f, dockerFile(f)); ok {
			out = append(out, x.Path)
		}
	}
	return out
}
