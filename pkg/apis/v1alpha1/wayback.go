package v1alpha1

import "slices"

// WayBack returns those of a node's runs, all of them and newest first, that lead back from what stands on the node: undone one
// after the other they take it to every state that it had. A rollback leads nowhere new: what stands behind it stood before
// the run that it undid, so the way goes on there. The second list is of the runs that say so, the rollbacks on the way and
// those that they undid: without them it couldn't be told where the way goes on.
func WayBack(runs []Run) (way, links []Run) {
	var since []Run // links that no run on the way has needed yet
	for at := 0; at < len(runs); at++ {
		r := runs[at]
		switch {
		case r.Phase != PhaseConfirmed:
		case r.Restores == "":
			way, links = append(way, r), append(links, since...)
			since = nil
		default:
			undone := slices.IndexFunc(runs[at:], func(x Run) bool { return x.ID == r.Restores })
			if undone < 0 {
				// It would have been kept if a run before it led anywhere.
				return way, links
			}
			since = append(since, r, runs[at+undone])
			at += undone
		}
	}
	return way, links
}
