package agent

import (
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/journal"
)

// seal seals every digest of a content in an answer: an answer leaves the node.
func (a *Agent) seal(resp *v1alpha1.Response) {
	if resp.Facts == nil && resp.View == nil && resp.Run == nil {
		return
	}
	s, err := a.journal().Sealer()
	if err != nil {
		// Facts are worth something without digests, though no plan can be made of them.
		withoutDigests(resp, err)
		return
	}
	sealRun(s, resp.Run)
	if f := resp.Facts; f != nil {
		for i := range f.Files {
			f.Files[i].SHA256 = s.Seal(f.Files[i].SHA256)
		}
		sealRun(s, f.OpenRun)
		for i := range f.Runs {
			sealRun(s, &f.Runs[i])
		}
	}
	if v := resp.View; v != nil {
		sealRun(s, &v.Run)
		sealPlan(s, &v.Plan)
		contents := map[string]string{}
		for sha, text := range v.Contents {
			contents[s.Seal(sha)] = text
		}
		v.Contents = contents
	}
}

// sealRun: the digest of a plan of the first format is of the plain digests in it.
func sealRun(s *journal.Sealer, r *v1alpha1.Run) {
	if r != nil && r.APIVersion == v1alpha1.APIVersionAlpha1 {
		r.PlanDigest = s.Seal(r.PlanDigest)
	}
}

func sealPlan(s *journal.Sealer, p *v1alpha1.Plan) {
	plain := false
	for i, f := range p.ReadSet.Files {
		plain = plain || f.SHA256 != "" && !strings.HasPrefix(f.SHA256, v1alpha1.Sealed)
		p.ReadSet.Files[i].SHA256 = s.Seal(f.SHA256)
	}
	for _, state := range []v1alpha1.State{p.Before, p.After} {
		for i, f := range state.Files {
			state.Files[i].SHA256 = s.Seal(f.SHA256)
		}
	}
	if plain {
		p.Digest = s.Seal(p.Digest)
	}
}

func withoutDigests(resp *v1alpha1.Response, err error) {
	if f := resp.Facts; f != nil {
		f.Problems = append(f.Problems, "digests of files: "+err.Error())
		for i := range f.Files {
			f.Files[i].SHA256 = ""
		}
		for i := range f.Runs {
			f.Runs[i].PlanDigest = ""
		}
		if f.OpenRun != nil {
			f.OpenRun.PlanDigest = ""
		}
	}
	if resp.Run != nil {
		resp.Run.PlanDigest = ""
	}
	if resp.View != nil {
		resp.View = nil
		resp.Error, resp.Code = err.Error(), v1alpha1.CodeInternal
	}
}
