package runtimes

import (
	"fmt"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// The IDs of what reading and writing settings notices. Package check documents them.
const (
	// NotCarried: something that an operator configured has no equal in the target.
	NotCarried = "R020"
	// Conflict: the target's own configuration says something else than the runtime that is left; it wins.
	Conflict = "R021"
	// CRIDisabled: the target's configuration disables its CRI plugin.
	CRIDisabled = "R022"
	// CgroupDriver: the target would use another cgroup driver than the kubelet.
	CgroupDriver = "R023"
	// SandboxImage: the target would use another sandbox image.
	SandboxImage = "R024"
	// CNIDirs: the target would not find the cluster's network.
	CNIDirs = "R025"
	// Registries: mirrors, plain-HTTP registries or certificates are carried.
	Registries = "R026"
	// Proxies: proxy variables are carried.
	Proxies = "R027"
	// OCIRuntimes: low-level runtimes are carried.
	OCIRuntimes = "R028"
	// SignaturePolicy: CRI-O would find no policy and refuse every image.
	SignaturePolicy = "R030"
	// Narrower: containers may do less in the target than in the runtime that is left.
	Narrower = "R031"
	// Unreadable: a file of the target can't be understood or safely edited.
	Unreadable = "R029"
)

func warning(id, hint, format string, args ...any) v1alpha1.Finding {
	return v1alpha1.Finding{ID: id, Severity: v1alpha1.SeverityWarning, Message: fmt.Sprintf(format, args...), Hint: hint}
}

func fixable(id, format string, args ...any) v1alpha1.Finding {
	return v1alpha1.Finding{ID: id, Severity: v1alpha1.SeverityFixable, Message: fmt.Sprintf(format, args...)}
}

func failure(id, hint, format string, args ...any) v1alpha1.Finding {
	return v1alpha1.Finding{ID: id, Severity: v1alpha1.SeverityError, Message: fmt.Sprintf(format, args...), Hint: hint}
}

// at names where a finding comes from.
func at(x v1alpha1.Finding, file string, line int) v1alpha1.Finding {
	if file == "" {
		return x
	}
	if line > 0 {
		file = fmt.Sprintf("%s:%d", file, line)
	}
	x.Evidence = append(x.Evidence, file)
	return x
}
