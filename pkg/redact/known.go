package redact

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/edit"
)

const (
	// shortest is the shortest secret that is looked for: what is shorter stands in every text.
	shortest = 4
	// anywhere is from which length on a secret is masked within words, too.
	anywhere = 8
)

// Known are secrets by what they are: they are masked wherever they stand, whatever stands beside them.
type Known struct{ words []string }

// Add takes in a secret, in the ways in which programs write it.
func (k *Known) Add(secret string) {
	for _, s := range spellings(secret) {
		if len(s) >= shortest && strings.Trim(s, string(rune(v1alpha1.MaskByte))) != "" && !slices.Contains(k.words, s) {
			k.words = append(k.words, s)
		}
	}
	// The longest first: one may be part of another.
	slices.SortFunc(k.words, func(a, b string) int { return len(b) - len(a) })
}

// AddFile takes in the secrets that a file holds, as edit.Mask finds them there.
func (k *Known) AddFile(path, content string) {
	if !suspicious(content) {
		return
	}
	_, spans := edit.Mask(path, content)
	for _, s := range spans {
		for line := range strings.SplitSeq(content[s.Start:s.End], "\n") {
			k.Add(strings.TrimSpace(line))
		}
	}
}

// AddAuth takes in the credential of a registry.
func (k *Known) AddAuth(a v1alpha1.RegistryAuth) {
	for _, s := range []string{a.Password, a.Auth, a.IdentityToken, a.RegistryToken} {
		k.Add(s)
	}
}

// spellings are a secret as it is, out of its quotes and escapes, and as a URL or a header has it.
func spellings(secret string) []string {
	out := []string{secret, strings.ReplaceAll(secret, "%%", "%"), strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(secret)}
	for _, s := range slices.Clone(out) {
		if plain, err := url.PathUnescape(s); err == nil {
			out = append(out, plain)
		}
	}
	for _, s := range slices.Clone(out) {
		out = append(out, url.PathEscape(s), url.QueryEscape(s), url.UserPassword("", s).String()[1:])
	}
	if raw, err := base64.StdEncoding.DecodeString(secret); err == nil {
		// The auth of a registry is user:password.
		if _, password, ok := strings.Cut(string(raw), ":"); ok && printable(password) {
			out = append(out, password)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

// Text masks the known secrets, and what looks like another one.
func (k *Known) Text(s string) string {
	out := []byte(s)
	if k != nil {
		for _, w := range k.words {
			for at := 0; ; {
				i := strings.Index(s[at:], w)
				if i < 0 {
					break
				}
				start, end := at+i, at+i+len(w)
				if len(w) >= anywhere || !within(s, start, end) {
					hide(out, start, end)
				}
				at = start + 1
			}
		}
	}
	return Text(string(out))
}

// within reports whether [start, end) is a part of a longer word.
func within(s string, start, end int) bool {
	return start > 0 && wordByte(s[start-1]) && wordByte(s[start]) || end < len(s) && wordByte(s[end-1]) && wordByte(s[end])
}

func wordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
