package manifest

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// decode reads a tree into a type of the Kubernetes API, as kubectl does: by way of JSON, and with the booleans of YAML 1.1.
func decode(n *yaml.Node, into any) error {
	data, err := json.Marshal(value(n))
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}

// value is a tree as JSON has it. Of keys that are written twice the last counts. The tree was measured, so this ends.
func value(n *yaml.Node) any {
	switch n = resolved(n); n.Kind {
	case yaml.MappingNode:
		return mapping(n)
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, c := range n.Content {
			list[i] = value(c)
		}
		return list
	case yaml.ScalarNode:
		return scalar(n)
	}
	return nil
}

func mapping(n *yaml.Node) map[string]any {
	m := make(map[string]any, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		if !isMerge(n.Content[i]) {
			continue
		}
		for _, from := range mergedFrom(n.Content[i+1]) {
			for k, v := range mapping(from) {
				if _, ok := m[k]; !ok {
					m[k] = v
				}
			}
		}
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := resolved(n.Content[i])
		if k.Kind == yaml.ScalarNode && !isMerge(k) {
			m[k.Value] = value(n.Content[i+1])
		}
	}
	return m
}

func scalar(n *yaml.Node) any {
	switch n.ShortTag() {
	case "!!null":
		return nil
	case "!!bool":
		return strings.EqualFold(n.Value, "true")
	case "!!int":
		return integer(n.Value)
	case "!!float":
		if f, err := strconv.ParseFloat(strings.ReplaceAll(n.Value, "_", ""), 64); err == nil && !math.IsInf(f, 0) && !math.IsNaN(f) {
			return f
		}
	case "!!str":
		if n.Style == 0 {
			switch n.Value {
			case "yes", "Yes", "YES", "on", "On", "ON", "y", "Y":
				return true
			case "no", "No", "NO", "off", "Off", "OFF", "n", "N":
				return false
			}
		}
	}
	return n.Value
}

// integer reads what YAML takes for one: with a base, with underscores, with a plain zero ahead for octal.
func integer(s string) any {
	s = strings.ReplaceAll(strings.TrimPrefix(s, "+"), "_", "")
	if i, err := strconv.ParseInt(s, 0, 64); err == nil {
		return i
	}
	if u, err := strconv.ParseUint(s, 0, 64); err == nil {
		return u
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil && !math.IsInf(f, 0) {
		return f
	}
	return s
}
