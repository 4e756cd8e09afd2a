package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// Digest is the sha256 of the plan's canonical JSON without digest, findings and version, hexadecimal. Go encodes structs in the
// order of their fields and maps in the order of their keys, so equal plans have equal bytes.
func Digest(p *v1alpha1.Plan) string {
	bare := *p
	bare.Digest, bare.Findings, bare.Version = "", nil, ""
	b, err := json.Marshal(bare)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

var runID = regexp.MustCompile(`^r-[0-9a-f]{8}$`)

// VerifyHeader checks that a document is a plan that this program may carry out: what another one made means what that one would
// do.
func VerifyHeader(h v1alpha1.Header) error {
	format, err := h.Known()
	var newer *v1alpha1.NewerError
	switch {
	case errors.As(err, &newer):
		newer.What = "the plan"
		return newer
	case err != nil:
		return err
	case h.Kind != v1alpha1.KindPlan:
		return fmt.Errorf("it is a %s, not a %s", h.Kind, v1alpha1.KindPlan)
	case format != v1alpha1.Format:
		return fmt.Errorf("an earlier kubectl runtime made it (format %d, this one makes and takes format %d): make the plan anew with --dry-run -o yaml", format, v1alpha1.Format)
	}
	return nil
}

// Verify checks a plan that was read from a file or from the wire: its digest, its paths, its photographs.
func Verify(p *v1alpha1.Plan) error {
	if err := VerifyHeader(p.Header()); err != nil {
		return err
	}
	switch {
	case !runID.MatchString(p.Run):
		return fmt.Errorf("run %q isn't r- and eight hexadecimal digits", p.Run)
	case p.Digest != Digest(p):
		return errors.New("the plan was changed after it was made: its digest doesn't fit")
	case len(p.Before.Files) != len(p.After.Files) || len(p.Before.Units) != len(p.After.Units):
		return errors.New("the plan's photographs don't name the same paths and units")
	case p.Kubelet.Unit != v1alpha1.KubeletUnit:
		return fmt.Errorf("the plan would stop and start %q, which is no kubelet's unit", p.Kubelet.Unit)
	}
	if err := p.CheckGrace(); err != nil {
		return err
	}
	for i, after := range p.After.Files {
		before := p.Before.Files[i]
		for _, s := range []v1alpha1.FileState{before, after} {
			if err := v1alpha1.CheckPlanned(s); err != nil {
				return fmt.Errorf("the plan would write %w, which no plan may", err)
			}
		}
		switch {
		case before.Path != after.Path:
			return fmt.Errorf("the plan's photographs don't name the same paths: %s and %s", before.Path, after.Path)
		case i > 0 && p.After.Files[i-1].Path >= after.Path:
			return fmt.Errorf("the plan's paths aren't sorted at %s", after.Path)
		case p.Restores == "" && after.Type == v1alpha1.Regular && len(after.Content) == 0:
			return fmt.Errorf("the plan doesn't say what %s is to become: only a rollback restores what the node alone knows", after.Path)
		}
		for _, s := range after.Content {
			if s.From != "" && !slices.ContainsFunc(p.ReadSet.Files, func(x v1alpha1.FileDigest) bool { return x.Path == s.From }) {
				return fmt.Errorf("the content of %s comes from %s, which the plan hasn't read", after.Path, s.From)
			}
		}
	}
	for i, after := range p.After.Units {
		if p.Before.Units[i].Name != after.Name {
			return fmt.Errorf("the plan's photographs don't name the same units: %s and %s", p.Before.Units[i].Name, after.Name)
		}
		if !slices.Contains(unitOrder, after.Name) {
			return fmt.Errorf("the plan would start or stop %s, which no plan may", after.Name)
		}
	}
	return nil
}
