package workload

import "github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"

// leaving says what becomes of what a workload needs of a runtime.
type leaving int

const (
	stays   leaving = iota // the runtime is there afterwards, or was never
	perhaps                // nothing says that it goes from where the workload is
	goes
)

// presence says whether a runtime serves a workload's pods.
type presence int

const (
	absent presence = iota // other runtimes serve its nodes
	away                   // none of its nodes takes part, but the runtime serves one that does
	serves                 // it does, or nothing is known
)

func (s *subject) leaving(name v1alpha1.RuntimeName) leaving {
	if s.j.o.To == name {
		return stays
	}
	switch s.presence(name) {
	case absent:
		// Docker may run beside the runtime that serves the kubelet; what asks it then is no part of the switch.
		if name != v1alpha1.Docker {
			return stays
		}
		return perhaps
	case away:
		// Pods may be moved to a node that took part.
		return perhaps
	}
	if s.j.o.To == "" && name != v1alpha1.Docker {
		return perhaps
	}
	return goes
}

// presence looks at the nodes that the workload is on, and at all that take part where it is on none.
func (s *subject) presence(name v1alpha1.RuntimeName) presence {
	from := s.j.o.From
	if len(from) == 0 {
		return serves
	}
	placed, known := false, false
	for _, p := range s.w.Pods {
		have, ok := from[p.Node]
		if have == name {
			return serves
		}
		placed, known = placed || p.Node != "", known || ok
	}
	switch {
	case known, !s.j.served[name]:
		return absent
	case placed:
		return away
	}
	return serves
}

// moving reports whether a node takes part in the move. Where nothing is known of nodes every one does.
func (j *judge) moving(node string) bool {
	if len(j.o.From) == 0 {
		return true
	}
	have, ok := j.o.From[node]
	return ok && (j.o.To == "" || have != j.o.To)
}

// moves reports whether one of the pods is on a node that takes part; where none is on a node yet, any may become theirs.
func (j *judge) moves(pods []Placed) bool {
	placed := false
	for _, p := range pods {
		if p.Node != "" && j.moving(p.Node) {
			return true
		}
		placed = placed || p.Node != ""
	}
	return !placed
}

// moved narrows a rule to workloads that take part.
func moved(apply func(*subject) []hit) func(*subject) []hit {
	return func(s *subject) []hit {
		if !s.j.moves(s.w.Pods) {
			return nil
		}
		return apply(s)
	}
}
