package kubelet

import (
	"fmt"
	"slices"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// The identifiers of what Retarget finds.
const (
	idInstaller = "E001" // the kubelet doesn't follow its files
	idVersion   = "E002" // the kubelet's version isn't known
	idUnclear   = "E003" // its configuration isn't understood
	idDrift     = "E004" // it runs with other flags than its files say
	idEndpoint  = "E005" // it doesn't use the endpoint that the move starts from, or can't use the one that it leads to
	idEdit      = "E006" // a file that names the endpoint can't be edited
	idImages    = "E007" // images come through another endpoint
	idCgroups   = "E008" // --runtime-cgroups names a unit that isn't the old runtime's
	idProof     = "E009" // the edited files don't say what they must
)

// fail notes what stops the move.
func (r *retarget) fail(id, hint, format string, args ...any) {
	r.note(id, v1alpha1.SeverityError, hint, format, args...)
}

func (r *retarget) note(id string, severity v1alpha1.Severity, hint, format string, args ...any) {
	r.findings = append(r.findings, v1alpha1.Finding{
		ID: id, Severity: severity, Message: fmt.Sprintf(format, args...), Hint: hint, Node: r.src.f.Node,
	})
}

func (r *retarget) failed() bool {
	return slices.ContainsFunc(r.findings, func(f v1alpha1.Finding) bool { return f.Severity == v1alpha1.SeverityError })
}
