package main

import (
	"bytes"
	"path"
	"strings"
	"text/template"
)

// unbuilt is the digest of an archive that this machine didn't build. No file has it, so krew refuses to install what it
// stands for. Releases build every platform; tests build one. Zeros would be a number to YAML.
var unbuilt = strings.Repeat("f", 64)

// render fills in the template of krew's manifest as krew-release-bot does, with digests of archives that were built here
// instead of downloaded ones.
func render(text, version string, digests map[string]string) ([]byte, error) {
	values := struct{ TagName string }{version}
	fill := func(text string, funcs template.FuncMap) (string, error) {
		t, err := template.New("").Funcs(funcs).Option("missingkey=error").Parse(text)
		if err != nil {
			return "", err
		}
		var b bytes.Buffer
		err = t.Execute(&b, values)
		return b.String(), err
	}
	out, err := fill(text, template.FuncMap{
		"addURIAndSha": func(uri, _ string) (string, error) {
			// The address is a template itself, as it is for the bot.
			uri, err := fill(uri, nil)
			if err != nil {
				return "", err
			}
			digest, ok := digests[path.Base(uri)]
			if !ok {
				digest = unbuilt
			}
			return "uri: " + uri + "\n    sha256: " + digest, nil
		},
	})
	return []byte(out), err
}

// renamed is the template of the same plugin under another name: krew links it as kubectl-NAME, with underscores for dashes,
// and the plugin goes by the name it is called by.
func renamed(text, name string) string {
	return strings.NewReplacer(
		"  name: runtime\n", "  name: "+name+"\n",
		"kubectl runtime", "kubectl "+name,
		"kubectl_complete-runtime", "kubectl_complete-"+strings.ReplaceAll(name, "-", "_"),
	).Replace(text)
}
