package workload

import (
	"path"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/shell"
)

// text is one key of a ConfigMap, read at most once for each purpose.
type text struct {
	body   string
	names  []naming
	parsed *shell.Script
	agents []agentUse
	seen   bool
}

func (t *text) isScript(key string) bool {
	if strings.HasSuffix(key, ".sh") || strings.HasSuffix(key, ".bash") {
		return true
	}
	first, _, _ := strings.Cut(t.body, "\n")
	if !strings.HasPrefix(first, "#!") {
		return false
	}
	for _, w := range strings.Fields(first[2:]) {
		if shell.Is(path.Base(w)) {
			return true
		}
	}
	return false
}

func (t *text) asScript(parser *shell.Parser) *shell.Script {
	if t.parsed == nil {
		t.parsed = &shell.Script{}
		if shell.Interesting(t.body) {
			*t.parsed = parser.Script(t.body)
		}
	}
	return t.parsed
}

func (t *text) asForeign(parser *shell.Parser) *shell.Script {
	if t.parsed == nil {
		t.parsed = &shell.Script{Calls: parser.Foreign(t.body)}
	}
	return t.parsed
}

// text returns a key of a ConfigMap, or nil where there is none.
func (j *judge) text(ref Key, key string) *text {
	at := textKey{ref, key}
	if t, ok := j.texts[at]; ok {
		return t
	}
	body, ok := j.inv.ConfigMaps[ref][key]
	if !ok {
		j.texts[at] = nil
		return nil
	}
	t := &text{body: body, names: pathsIn(body)}
	j.texts[at] = t
	return t
}

type textKey struct {
	ref Key
	key string
}
