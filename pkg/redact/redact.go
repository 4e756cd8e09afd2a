// Package redact takes secrets out of text that programs print: log lines, error messages, progress. What files hold is masked by
// package edit, whose offsets must stay; here only the secret must go.
package redact

import (
	"regexp"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/edit"
)

// Text masks what looks like a secret in the output of a program: passwords in URLs and before an @, values of variables, flags
// and keys with telling names (in JSON within a log line too), HTTP credentials, signed URLs, tokens and private keys. Masking a
// masked text changes nothing.
func Text(s string) string {
	if !suspicious(s) {
		return s
	}
	return mask(s)
}

// marks are in every text that has something to mask.
var marks = []string{
	"@", "pass", "pwd", "secret", "token", "key", "auth", "cookie", "credential", "header", "bearer", "basic", "sig", "eyj",
	"ghp", "gho", "ghs", "glpat", "dckrpat", "xox",
}

// suspicious looks for the marks, whatever signs stand within them: nearly every line has none.
func suspicious(s string) bool {
	plain := strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '@':
			return r
		case r == '_', r == '-', r == '.':
			return -1
		}
		return ' '
	}, s)
	return slices.ContainsFunc(marks, func(m string) bool { return strings.Contains(plain, m) })
}

func mask(s string) string {
	// What one pass masks may uncover what another reads differently; a few passes come to rest.
	for range 8 {
		next, _ := edit.Mask("", s)
		for _, p := range patterns {
			next = p.apply(next)
		}
		if next == s {
			break
		}
		s = next
	}
	return s
}

// pattern masks one group of what it matches, unless the whole match, or the text behind it, is none of its kind.
type pattern struct {
	match *regexp.Regexp
	// not says of a match by its groups, and what follows, that it is no secret.
	not func(groups []string, rest string) bool
}

var patterns = []pattern{
	// The credential of HTTP's schemes; prose has no words with digits or signs in them behind "bearer" and "basic".
	{match: regexp.MustCompile(`(?i)\b(?:bearer|basic|token)[ \t]+([A-Za-z0-9._~+/=\-]{6,})`), not: func(g []string, _ string) bool {
		return !strings.ContainsAny(g[1], "0123456789=_+/~") && !mixed(g[1])
	}},
	// user:password@host without a scheme. A tag before a digest looks alike.
	{match: regexp.MustCompile(`(?:^|[\s"'(=,/])[^\s/@:"'(),=]+:([^\s/@"']+)@`), not: func(_ []string, rest string) bool {
		return strings.HasPrefix(rest, "sha256:") || strings.HasPrefix(rest, "sha512:")
	}},
	// Keys of JSON that stands escaped in a line of a log, at whatever depth.
	{match: regexp.MustCompile(`\\+["']([\w.\-]+)\\+["']\s*:\s*\\+["']([^"'\\]+)`), not: untelling},
	// Go prints a header as Name:[value].
	{match: regexp.MustCompile(`([\w.\-]+)"?:\[([^\]\n]+)`), not: untelling},
	// What signs a URL.
	{match: regexp.MustCompile(`(?i)[?&](?:sig|signature|x-amz-signature|x-amz-credential|x-amz-security-token|x-goog-signature|x-goog-credential|awsaccesskeyid|key)=([^&\s"']+)`)},
	// Tokens and registry credentials tell themselves: JSON in base64 begins like this.
	{match: regexp.MustCompile(`\b(eyJ[A-Za-z0-9_\-+/]{12,}[A-Za-z0-9_\-+/=.]*)`)},
	{match: regexp.MustCompile(`\b((?:ghp|gho|ghs|glpat|dckr_pat|xox[bap])[_\-][A-Za-z0-9_\-]{8,})`)},
}

// untelling says of a key and its value that the name tells of no secret.
func untelling(groups []string, _ string) bool { return !edit.SecretName(groups[1]) }

// mixed reports whether capitals stand behind small letters, as in no word.
func mixed(s string) bool {
	for i := 1; i < len(s); i++ {
		if s[i] >= 'A' && s[i] <= 'Z' && s[i-1] >= 'a' && s[i-1] <= 'z' {
			return true
		}
	}
	return false
}

func (p pattern) apply(s string) string {
	out := []byte(s)
	for _, m := range p.match.FindAllStringSubmatchIndex(s, -1) {
		groups := make([]string, 0, len(m)/2)
		for i := 0; i < len(m); i += 2 {
			groups = append(groups, s[m[i]:m[i+1]])
		}
		if p.not != nil && p.not(groups, s[m[1]:]) {
			continue
		}
		hide(out, m[len(m)-2], m[len(m)-1])
	}
	return string(out)
}

func hide(out []byte, start, end int) {
	for i := start; i < end; i++ {
		if out[i] != '\n' && out[i] != '\r' {
			out[i] = v1alpha1.MaskByte
		}
	}
}
