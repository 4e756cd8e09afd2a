package report

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// What of SARIF 2.1.0 is written. The names are the standard's:
// https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
type sarifLog struct {
	Schema  string     `json:"$schema"`
	Version string     `json:"version"`
	Runs    []sarifRun `json:"runs"`
}

type sarifRun struct {
	Tool        sarifTool         `json:"tool"`
	Invocations []sarifInvocation `json:"invocations"`
	Results     []sarifResult     `json:"results"`
	ColumnKind  string            `json:"columnKind"`
}

type sarifTool struct {
	Driver sarifDriver `json:"driver"`
}

type sarifDriver struct {
	Name           string      `json:"name"`
	Version        string      `json:"version,omitempty"`
	InformationURI string      `json:"informationUri"`
	Rules          []sarifRule `json:"rules"`
}

type sarifRule struct {
	ID               string    `json:"id"`
	ShortDescription sarifText `json:"shortDescription"`
	FullDescription  sarifText `json:"fullDescription"`
	Help             sarifText `json:"help"`
	HelpURI          string    `json:"helpUri"`
}

type sarifText struct {
	Text string `json:"text"`
}

type sarifInvocation struct {
	ExecutionSuccessful bool                `json:"executionSuccessful"`
	Notifications       []sarifNotification `json:"toolExecutionNotifications,omitempty"`
}

type sarifNotification struct {
	Level   string    `json:"level"`
	Message sarifText `json:"message"`
}

type sarifResult struct {
	RuleID       string             `json:"ruleId"`
	RuleIndex    int                `json:"ruleIndex"`
	Level        string             `json:"level"`
	Message      sarifText          `json:"message"`
	Locations    []sarifLocation    `json:"locations"`
	Fingerprints map[string]string  `json:"partialFingerprints"`
	Suppressions []sarifSuppression `json:"suppressions,omitempty"`
	Properties   map[string]any     `json:"properties,omitempty"`
}

type sarifLocation struct {
	Physical *sarifPhysical `json:"physicalLocation,omitempty"`
	Logical  []sarifLogical `json:"logicalLocations,omitempty"`
}

type sarifPhysical struct {
	Artifact sarifArtifact `json:"artifactLocation"`
	Region   *sarifRegion  `json:"region,omitempty"`
}

type sarifArtifact struct {
	URI string `json:"uri"`
}

type sarifRegion struct {
	StartLine int `json:"startLine"`
}

type sarifLogical struct {
	Name string `json:"fullyQualifiedName"`
	Kind string `json:"kind"`
}

type sarifSuppression struct {
	Kind          string `json:"kind"`
	Justification string `json:"justification"`
}

// site is where the rules are explained.
const site = "https://github.com/kubectl-runtime/kubectl-runtime"

func (r *Report) sarif(w io.Writer) error {
	driver := sarifDriver{Name: "kubectl-runtime", Version: r.Version, InformationURI: site, Rules: []sarifRule{}}
	at := map[string]int{}
	rules := slices.Clone(r.Rules)
	for i := range r.Findings {
		// A finding of a rule that isn't listed must name one all the same.
		if id := r.Findings[i].ID; !slices.ContainsFunc(rules, func(x Rule) bool { return x.ID == id }) {
			rules = append(rules, Rule{ID: id, Title: id, Doc: id})
		}
	}
	for i, x := range rules {
		at[x.ID] = i
		driver.Rules = append(driver.Rules, sarifRule{
			ID: x.ID, ShortDescription: sarifText{x.Title}, FullDescription: sarifText{cmp.Or(x.Doc, x.Title)}, Help: sarifText{cmp.Or(x.Doc, x.Title)},
			HelpURI: site + "/blob/main/docs/checks.md#" + strings.ToLower(x.ID),
		})
	}
	run := sarifRun{
		Tool: sarifTool{driver}, Invocations: []sarifInvocation{{ExecutionSuccessful: len(r.Problems) == 0}}, Results: []sarifResult{},
		ColumnKind: "utf16CodeUnits",
	}
	for _, p := range r.Problems {
		run.Invocations[0].Notifications = append(run.Invocations[0].Notifications, sarifNotification{"error", sarifText{p}})
	}
	for i := range r.Findings {
		run.Results = append(run.Results, sarifOf(&r.Findings[i], at))
	}
	return indented(w, sarifLog{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []sarifRun{run}}, "  ")
}

func sarifOf(f *v1alpha1.Finding, at map[string]int) sarifResult {
	text := f.Message
	if f.Object != "" {
		text = f.Object + ": " + text
	} else if f.Node != "" {
		text = "node " + f.Node + ": " + text
	}
	if len(f.Evidence) > 0 {
		text += "\nSee: " + strings.Join(f.Evidence, "; ")
	}
	if f.Hint != "" {
		text += "\nHint: " + f.Hint
	}
	result := sarifResult{
		RuleID: f.ID, RuleIndex: at[f.ID], Level: map[v1alpha1.Severity]string{v1alpha1.SeverityError: "error", v1alpha1.SeverityWarning: "warning"}[f.Severity],
		Message: sarifText{text}, Locations: []sarifLocation{},
		// Lines move; what stays the same is the rule, the file and the object.
		Fingerprints: map[string]string{"finding/v1": fingerprint(f.ID, f.File, f.Object, f.Node)},
	}
	result.Level = cmp.Or(result.Level, "note")
	var l sarifLocation
	if f.File != "" {
		l.Physical = &sarifPhysical{Artifact: sarifArtifact{fileURI(f.File)}}
		if f.Line > 0 {
			l.Physical.Region = &sarifRegion{f.Line}
		}
	}
	switch {
	case f.Object != "":
		l.Logical = []sarifLogical{{f.Object, "resource"}}
	case f.Node != "":
		l.Logical = []sarifLogical{{"Node/" + f.Node, "resource"}}
	}
	if l.Physical != nil || l.Logical != nil {
		result.Locations = append(result.Locations, l)
	}
	if f.Suppressed != "" {
		result.Suppressions = []sarifSuppression{{"external", f.Suppressed}}
	}
	if f.Pods > 0 || len(f.Nodes) > 0 {
		result.Properties = map[string]any{"pods": f.Pods, "nodes": append([]string{}, f.Nodes...)}
	}
	return result
}

func fingerprint(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:16])
}

// fileURI makes a path a URI: relative paths stay relative, so that they are those of the repository.
func fileURI(name string) string {
	name = strings.ReplaceAll(name, `\`, "/")
	if len(name) > 2 && name[1] == ':' && name[2] == '/' { // a drive of Windows
		name = "/" + name
	}
	u := url.URL{Path: path.Clean(name)}
	if strings.HasPrefix(u.Path, "/") {
		u.Scheme = "file"
	}
	return u.String()
}
