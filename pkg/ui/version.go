package ui

import "fmt"

// Version is what this program was built from.
type Version struct {
	Version    string         `json:"version"`
	Commit     string         `json:"commit,omitempty"`
	CommitTime string         `json:"commitTime,omitempty"`
	Modified   bool           `json:"modified,omitempty"`
	GoVersion  string         `json:"goVersion"`
	Platform   string         `json:"platform"`
	Agents     []AgentVersion `json:"agents"`
}

// AgentVersion is one agent that is carried; one that is missing has no digest.
type AgentVersion struct {
	Platform string `json:"platform"`
	SHA256   string `json:"sha256,omitempty"`
}

// Version prints it on stdout.
func (u *UI) Version(name string, v Version) {
	commit := v.Commit
	if commit == "" {
		commit = "unknown"
	}
	if v.Modified {
		commit += " with changes"
	}
	fmt.Fprintf(u.out, "%s %s (commit %s, %s, %s)\n", name, v.Version, commit, v.GoVersion, v.Platform)
	for _, a := range v.Agents {
		digest := "sha256:" + a.SHA256
		if a.SHA256 == "" {
			digest = "not in this build (make agent)"
		}
		fmt.Fprintf(u.out, "agent for %s  %s\n", a.Platform, digest)
	}
}
