package workload

import (
	"path"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/shell"
)

// agentUse is a line of a configuration that ties an agent to a runtime.
type agentUse struct {
	tie  tie
	what string
	line int
	// unless names an environment variable that says otherwise where it is set.
	unless string
}

// tie is how a configuration depends on the runtime.
type tie int

const (
	readsJSON tie = iota // container logs must be Docker's JSON
	readsCRI             // container logs must have the form that kubelets and runtimes agreed on
	asksAPI              // Docker's API must answer
)

// agent returns what ties the configuration of a log or metrics agent to a runtime.
func (t *text) agent(key string) []agentUse {
	if t.seen {
		return t.agents
	}
	t.seen = true
	if len(t.body) > maxConfig || !namesModule(t.body) && !containerLogs(t.body) && !strings.Contains(t.body, "cri:") && !strings.Contains(t.body, "stage.cri") {
		return nil
	}
	t.agents = append(lined(t.body), fluentd(t.body)...)
	switch path.Ext(key) {
	case ".yaml", ".yml", "", ".json":
		t.agents = append(t.agents, structured(t.body)...)
	}
	return t.agents
}

// namesModule reports whether a configuration can name a module or a parser for Docker: the word stands alone, or an
// underscore follows. It spares parsing what only names images or hosts.
func namesModule(body string) bool {
	for rest := body; ; {
		i := strings.Index(rest, "ocker")
		if i < 0 {
			return false
		}
		rest = rest[i+len("ocker"):]
		if rest == "" || strings.IndexByte(" \t\r\n,\"':}]_s", rest[0]) >= 0 {
			return true
		}
	}
}

const (
	// maxConfig is the most that a ConfigMap holds, in bytes.
	maxConfig = 1 << 20
	// maxNesting is far more than configurations have.
	maxNesting = 100
)

// containerLogs reports whether a glob names the logs of containers.
func containerLogs(p string) bool {
	return strings.Contains(p, "/log/containers") || strings.Contains(p, "/log/pods") || strings.Contains(p, "/lib/docker/containers")
}

// lined reads the formats that are made of sections and lines: fluent-bit's classic one, and the TOML or River of vector,
// telegraf, Alloy and Traefik.
func lined(body string) []agentUse {
	var out []agentUse
	section := input{}
	for i, line := range strings.Split(body, "\n") {
		t := strings.TrimSpace(shell.Uncomment(line))
		if t == "" {
			continue
		}
		if t[0] == '[' {
			out = append(out, section.uses()...)
			section = input{active: strings.EqualFold(t, "[INPUT]")}
			switch strings.Trim(t, "[] ") {
			case "inputs.docker", "inputs.docker_log", "providers.docker":
				out = append(out, agentUse{tie: asksAPI, what: t, line: i + 1})
			}
			continue
		}
		switch first := strings.Fields(t)[0]; first {
		case "stage.docker":
			out = append(out, agentUse{tie: readsJSON, what: t, line: i + 1})
		case "stage.cri":
			out = append(out, agentUse{tie: readsCRI, what: t, line: i + 1})
		case "discovery.docker", "loki.source.docker":
			out = append(out, agentUse{tie: asksAPI, what: t, line: i + 1})
		case "type":
			if v := strings.Trim(strings.TrimLeft(t[len(first):], " ="), `"' `); v == "docker_logs" {
				out = append(out, agentUse{tie: asksAPI, what: t, line: i + 1})
			}
		}
		if section.active {
			if f := strings.Fields(t); len(f) >= 2 {
				section.set(strings.ToLower(f[0]), strings.TrimSpace(t[len(f[0]):]), i+1)
			}
		}
	}
	return append(out, section.uses()...)
}

// input is an input of fluent-bit.
type input struct {
	active                             bool
	name, path, parser, multi, dockerM string
	line                               int
}

func (in *input) set(key, value string, line int) {
	switch key {
	case "name":
		in.name = value
	case "path":
		in.path = value
	case "parser":
		in.parser, in.line = value, line
	case "multiline.parser":
		in.multi, in.line = value, line
	case "docker_mode":
		in.dockerM, in.line = value, line
	}
}

func (in *input) uses() []agentUse {
	if !strings.EqualFold(in.name, "tail") || in.path != "" && !containerLogs(in.path) {
		return nil
	}
	parsers := strings.Split(in.multi, ",")
	docker, cri := false, false
	for _, p := range parsers {
		docker = docker || strings.TrimSpace(p) == "docker"
		cri = cri || strings.TrimSpace(p) == "cri"
	}
	switch {
	case cri && docker:
		return nil
	case cri:
		return []agentUse{{tie: readsCRI, what: "multiline.parser " + in.multi, line: in.line}}
	case strings.EqualFold(in.parser, "cri"), strings.EqualFold(in.parser, "containerd"), strings.EqualFold(in.parser, "crio"):
		return []agentUse{{tie: readsCRI, what: "parser " + in.parser, line: in.line}}
	case docker:
		return []agentUse{{tie: readsJSON, what: "multiline.parser " + in.multi, line: in.line}}
	case strings.EqualFold(in.parser, "docker"), strings.EqualFold(in.parser, "json") && in.path != "":
		return []agentUse{{tie: readsJSON, what: "parser " + in.parser, line: in.line}}
	case strings.EqualFold(in.dockerM, "on") || strings.EqualFold(in.dockerM, "true"):
		return []agentUse{{tie: readsJSON, what: "docker_mode on", line: in.line}}
	}
	return nil
}

// fluentd reads fluentd's format: sources that tail container logs and parse them in one form and no other.
func fluentd(body string) []agentUse {
	if !strings.Contains(body, "<source>") {
		return nil
	}
	var out []agentUse
	source, parse, json, cri, other, logs, unless := false, false, 0, 0, false, false, ""
	for i, line := range strings.Split(body, "\n") {
		t := strings.TrimSpace(shell.Uncomment(line))
		f := strings.Fields(t)
		if len(f) == 0 {
			continue
		}
		value := strings.Join(f[1:], " ")
		switch {
		case f[0] == "<source>":
			source, parse, json, cri, other, logs, unless = true, false, 0, 0, false, false, ""
		case f[0] == "</source>":
			switch {
			case !source || !logs || other:
			case json > 0 && cri == 0:
				out = append(out, agentUse{tie: readsJSON, what: "a parser of type json", line: json, unless: unless})
			case cri > 0 && json == 0:
				out = append(out, agentUse{tie: readsCRI, what: "a parser for CRI alone", line: cri})
			}
			source = false
		case !source:
		case f[0] == "<parse>":
			parse = true
		case f[0] == "</parse>":
			parse = false
		case f[0] == "expression" && criPattern(value):
			cri, other = i+1, false
		case f[0] == "path":
			logs = logs || containerLogs(value)
		case f[0] == "format", f[0] == "@type" && parse, f[0] == "type" && parse:
			switch v := strings.Trim(value, `"'`); {
			case v == "json":
				json = i + 1
			case strings.Contains(v, "|| 'json'"):
				// The images of fluentd's project take the type from a variable, and json without it.
				json = i + 1
				_, name, _ := strings.Cut(v, "ENV['")
				unless, _, _ = strings.Cut(name, "'")
			case v == "cri", criPattern(v):
				cri = i + 1
			case v != "multi_format":
				other = true
			}
		}
	}
	return out
}

// criPattern reports whether a pattern is the one for lines of CRI: they name their stream after the time.
func criPattern(s string) bool { return strings.Contains(s, "stdout|stderr") }

// structured reads YAML: filebeat, metricbeat, promtail, fluent-bit, vector, Prometheus, Traefik, OpenTelemetry's collector.
// Nothing is read after a document that is none; aliases aren't followed.
func structured(body string) []agentUse {
	var out []agentUse
	dec := yaml.NewDecoder(strings.NewReader(body))
	for {
		var n yaml.Node
		if err := dec.Decode(&n); err != nil {
			return out
		}
		walkYAML(&n, "", 0, &out)
	}
}

// walkYAML visits every mapping below n; under is the key that holds n, or the list of it.
func walkYAML(n *yaml.Node, under string, depth int, out *[]agentUse) {
	if depth > maxNesting {
		return
	}
	switch n.Kind {
	case yaml.DocumentNode, yaml.SequenceNode:
		for _, c := range n.Content {
			walkYAML(c, under, depth+1, out)
		}
	case yaml.MappingNode:
		*out = append(*out, mapping(n, under)...)
		for i := 0; i+1 < len(n.Content); i += 2 {
			walkYAML(n.Content[i+1], n.Content[i].Value, depth+1, out)
		}
	}
}
