package workload

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// mapping judges one mapping of a configuration in YAML by its own keys and the key that holds it.
func mapping(n *yaml.Node, under string) []agentUse {
	var out []agentUse
	get := func(key string) *yaml.Node {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == key {
				return n.Content[i+1]
			}
		}
		return nil
	}
	value := func(key string) string {
		if v := get(key); v != nil {
			return v.Value
		}
		return ""
	}
	note := func(t tie, what string, at *yaml.Node) {
		line := n.Line
		if at != nil {
			line = at.Line
		}
		out = append(out, agentUse{tie: t, what: what, line: line})
	}

	kind := value("type")
	switch {
	case kind == "docker" && (under == "filebeat.inputs" || under == "inputs" || under == "filebeat.prospectors" || get("containers.ids") != nil):
		note(readsJSON, "an input of type docker", get("type"))
	case kind == "docker" && under == "providers":
		note(asksAPI, "autodiscovery by the provider docker", get("type"))
	case kind == "container" && value("format") == "docker":
		note(readsJSON, "format: docker", get("format"))
	case kind == "container" && (value("format") == "cri" || value("format") == "containerd" || value("format") == "crio"):
		note(readsCRI, "format: "+value("format"), get("format"))
	case kind == "log" || kind == "filestream":
		if paths := get("paths"); paths != nil && containerLogs(joined(paths)) && (get("json.keys_under_root") != nil || get("json.message_key") != nil || value("json") != "") {
			note(readsJSON, "container logs read as JSON", paths)
		}
	case kind == "docker_logs":
		note(asksAPI, "a source of type docker_logs", get("type"))
	}
	if value("module") == "docker" {
		note(asksAPI, "the module docker", get("module"))
	}
	if v := get("cri"); v != nil && under == "pipeline_stages" {
		note(readsCRI, "the pipeline stage cri", v)
	}
	if v := get("docker"); v != nil {
		switch under {
		case "pipeline_stages":
			note(readsJSON, "the pipeline stage docker", v)
		case "providers":
			note(asksAPI, "the provider docker", v)
		}
	}
	for _, key := range [...]string{"docker_sd_configs", "dockerswarm_sd_configs"} {
		if v := get(key); v != nil && len(v.Content) > 0 {
			note(asksAPI, key, v)
		}
	}
	out = append(out, collector(n, under)...)
	if name := value("name"); strings.EqualFold(name, "tail") {
		in := input{name: name, path: value("path"), parser: value("parser"), multi: value("multiline.parser"), dockerM: value("docker_mode"), line: n.Line}
		if v := get("multiline.parser"); v != nil && v.Kind == yaml.SequenceNode {
			in.multi = joined(v)
		}
		out = append(out, in.uses()...)
	}
	return out
}

// collector judges the parts of a configuration of OpenTelemetry's collector.
func collector(n *yaml.Node, under string) []agentUse {
	var out []agentUse
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, v := n.Content[i].Value, n.Content[i+1]
		name, _, _ := strings.Cut(key, "/")
		switch {
		case under == "receivers" && name == "docker_stats", under == "extensions" && name == "docker_observer":
			out = append(out, agentUse{tie: asksAPI, what: key, line: n.Content[i].Line})
		case under == "receivers" && name == "filelog" && v.Kind == yaml.MappingNode && jsonOnly(v):
			out = append(out, agentUse{tie: readsJSON, what: "container logs read by json_parser alone", line: v.Line})
		}
	}
	return out
}

// jsonOnly reports whether a filelog receiver reads container logs and parses them as JSON first.
func jsonOnly(receiver *yaml.Node) bool {
	logs, first := false, ""
	for i := 0; i+1 < len(receiver.Content); i += 2 {
		v := receiver.Content[i+1]
		switch receiver.Content[i].Value {
		case "include":
			logs = containerLogs(joined(v))
		case "operators":
			if len(v.Content) == 0 || v.Content[0].Kind != yaml.MappingNode {
				continue
			}
			op := v.Content[0]
			for k := 0; k+1 < len(op.Content); k += 2 {
				if op.Content[k].Value == "type" {
					first = op.Content[k+1].Value
				}
			}
		}
	}
	return logs && first == "json_parser"
}

// joined returns a scalar, or a list's scalars with commas between.
func joined(n *yaml.Node) string {
	if n.Kind == yaml.ScalarNode {
		return n.Value
	}
	var all []string
	for _, c := range n.Content {
		all = append(all, c.Value)
	}
	return strings.Join(all, ",")
}
