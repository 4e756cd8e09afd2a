package redact

import "testing"

// FuzzSuspicious: what isn't looked at closely has nothing to mask.
func FuzzSuspicious(f *testing.F) {
	for _, s := range []string{"a=b", "to-ken=abcdef", "PASS_WD: x", "https://u:p@h", "X-Api.Key=1", "--x-header a", "-----BEGIN PRIVATE KEY-----\nabc"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got := mask(s); got != s && !suspicious(s) {
			t.Errorf("%q isn't suspicious and becomes %q", s, got)
		}
	})
}
