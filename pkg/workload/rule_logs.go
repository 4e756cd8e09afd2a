package workload

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

func logRules() []rule {
	return []rule{
		{Rule{
			"W012", failing, "no agent reads the logs where Docker writes them",
			"Docker keeps container logs below /var/lib/docker/containers, and nobody writes there after the switch. The kubelet's links in /var/log/containers and the files in /var/log/pods are there with every runtime: read those, and mount /var/log. " +
				"A mount of Docker's directory beside one of /var/log isn't reported unless the configuration names it; one that names the kubelet's logs too is a warning.",
		}, dockerLogs, nil},
		{Rule{
			"W013", failing, "no agent takes container logs for Docker's JSON",
			"Over CRI a log line begins with a time, the stream and a flag, and is no JSON. fluentd's json parser, fluent-bit's parser docker, filebeat's input docker, promtail's stage docker and their like deliver unparsed or no lines then. " +
				"Use the agent's parser for CRI; most have one that takes both forms, which may be set before the switch. Where it is only the default of an image it is a warning.",
		}, dockerJSON, nil},
		{Rule{
			"W014", failing, "no agent asks Docker's API for its data",
			"Modules such as telegraf's docker input, filebeat's autodiscovery by docker, vector's docker_logs, Prometheus' docker_sd_configs, the collector's docker_stats and cAdvisor's --docker_only see no container of the cluster after the switch. " +
				"Use the agent's module for Kubernetes or the kubelet. Where the pod doesn't reach the node's Docker anyway it is a warning.",
		}, dockerModules, nil},
		{Rule{
			"W017", failing, "agents find and read the logs that Docker writes",
			"With Docker the files in /var/log/pods are links into /var/lib/docker/containers, and their lines are JSON. An agent that doesn't mount that directory follows them to nothing, and one that knows the form of CRI alone delivers unparsed or no lines. " +
				"Mount the directory beside /var/log, and use a parser that takes both forms. Only for --to docker.",
		}, docker(criLogs), nil},
	}
}

func dockerLogs(s *subject) []hit {
	leaving := s.leaving(v1alpha1.Docker)
	if leaving == stays {
		return nil
	}
	severity := failing
	if leaving == perhaps {
		severity = advising
	}
	const message, hint = "reads container logs where Docker alone writes them", "read /var/log/pods or /var/log/containers instead"
	var out []hit
	for i := range s.containers {
		c := &s.containers[i]
		if !c.reachesLogs() {
			continue
		}
		named := false
		for _, r := range c.reaches() {
			if r.kind != logs {
				continue
			}
			named = true
			h := hit{severity, message, hint, r.evidence, r.line}
			if c.namesLogs() {
				h.severity, h.message = advising, "looks for container logs where Docker alone writes them, and elsewhere too"
			}
			out = append(out, h)
		}
		if named || c.mountsLogs() {
			continue
		}
		for _, f := range s.mounted(logs) {
			if f.c == c {
				out = append(out, hit{severity, "mounts Docker's directory of container logs and no other", hint, f.evidence(), f.line()})
			}
		}
	}
	return out
}

// namesLogs reports whether the container's command or its configuration names the logs that the kubelet keeps.
func (c *container) namesLogs() bool {
	names := func(s string) bool {
		return strings.Contains(s, "/log/pods") || strings.Contains(s, "/log/containers") || strings.Contains(s, "/log/crio/pods")
	}
	if slices.ContainsFunc(c.Command, names) || slices.ContainsFunc(c.Args, names) {
		return true
	}
	return slices.ContainsFunc(c.used().files, func(f usedFile) bool { return names(f.text.body) })
}

// reachesLogs reports whether a mount holds Docker's directory of logs.
func (c *container) reachesLogs() bool {
	for i := range c.mounts {
		if h := c.mounts[i].host; h != "" && (below(h, "/var/lib/docker/containers") || below("/var/lib/docker/containers", h)) {
			return true
		}
	}
	return false
}

// mountsLogs reports whether a mount holds the logs that the kubelet keeps with every runtime.
func (c *container) mountsLogs() bool {
	for i := range c.mounts {
		if h := c.mounts[i].host; h != "" && (below(h, "/var/log") || below("/var/log", h)) {
			return true
		}
	}
	return false
}

func dockerJSON(s *subject) []hit {
	return s.agents(readsJSON, func(c *container) (v1alpha1.Severity, string, string) {
		return failing, "takes container logs for Docker's JSON, which other runtimes don't write", "use the agent's parser for CRI"
	}, fluentdImage)
}

func dockerModules(s *subject) []hit {
	return s.agents(asksAPI, func(c *container) (v1alpha1.Severity, string, string) {
		if c.reach("") == onNode {
			return failing, "asks Docker's API for containers that aren't there after the switch", "use the agent's module for Kubernetes, or the kubelet"
		}
		return advising, "is told to ask Docker's API, which it doesn't reach", "remove that part of its configuration"
	}, dockerFlags)
}

// agents judges the configurations that containers mount, and what more finds in the containers themselves.
func (s *subject) agents(want tie, grade func(*container) (v1alpha1.Severity, string, string), more func(*container) []hit) []hit {
	leaving := s.leaving(v1alpha1.Docker)
	if leaving == stays {
		return nil
	}
	var out []hit
	for i := range s.containers {
		c := &s.containers[i]
		for _, f := range c.used().files {
			for _, a := range f.text.agent(f.key) {
				if v, set := c.env[a.unless]; a.tie != want || set && v.value != "json" {
					continue
				}
				h := hit{evidence: fmt.Sprintf("%s:%d: %s", f.evidence, a.line, a.what), line: f.line}
				h.severity, h.message, h.hint = grade(c)
				out = append(out, h)
			}
		}
		out = append(out, more(c)...)
	}
	if leaving == perhaps {
		for i := range out {
			out[i].severity = advising
		}
	}
	return out
}

// docker narrows a rule to moves to Docker.
func docker(apply func(*subject) []hit) func(*subject) []hit {
	return func(s *subject) []hit {
		if s.j.o.To != v1alpha1.Docker || !s.j.moves(s.w.Pods) {
			return nil
		}
		return apply(s)
	}
}

func criLogs(s *subject) []hit {
	const hint = "mount /var/lib/docker/containers beside /var/log, and use a parser that takes both forms"
	var out []hit
	for i := range s.containers {
		c := &s.containers[i]
		reads := false
		for _, f := range c.used().files {
			reads = reads || containerLogs(f.text.body)
			for _, a := range f.text.agent(f.key) {
				if a.tie == readsCRI {
					reads = true
					out = append(out, hit{failing, "takes container logs for CRI's lines, and Docker writes JSON", hint, fmt.Sprintf("%s:%d: %s", f.evidence, a.line, a.what), f.line})
				}
			}
		}
		if v := c.env[parserVariable].value; v == "cri" || criPattern(v) {
			reads = true
			out = append(out, hit{failing, "takes container logs for CRI's lines, and Docker writes JSON", hint, c.says("env %s=%s", parserVariable, v), c.at("env", parserVariable)})
		}
		if !reads || c.reachesLogs() {
			continue
		}
		for n := range c.mounts {
			if m := &c.mounts[n]; m.host != "" && (below(m.host, "/var/log/pods") || below("/var/log/containers", m.host)) {
				out = append(out, hit{failing, "reads container logs, which are links into a directory that it doesn't mount", hint, found{c: c, m: m}.evidence(), found{c: c, m: m}.line()})
			}
		}
	}
	return out
}

// parserVariable is what the images of fluentd's project for Kubernetes take their parser from.
const parserVariable = "FLUENT_CONTAINER_TAIL_PARSER_TYPE"

// fluentdImage judges the images of fluentd's project for Kubernetes, whose parser is a variable with the default json.
func fluentdImage(c *container) []hit {
	if name, _ := repository(c.Image); name != "fluentd-kubernetes-daemonset" {
		return nil
	}
	v, set := c.env[parserVariable]
	switch {
	case set && v.value == "json":
		return one(failing, c.at("env", parserVariable), c.says("env %s=json", parserVariable), "takes container logs for Docker's JSON, which other runtimes don't write", "set it to cri")
	case !set && !c.ownConfig("/fluentd/etc"):
		return one(advising, c.at("image"), c.says("image %s without %s", c.Image, parserVariable), "its image takes container logs for JSON unless it is told otherwise", "set "+parserVariable+" to cri")
	}
	return nil
}

// ownConfig reports whether a ConfigMap is mounted at or below a directory.
func (c *container) ownConfig(dir string) bool {
	for i := range c.mounts {
		if below(c.mounts[i].at, dir) && c.mounts[i].host == "" {
			return true
		}
	}
	return false
}

// dockerFlags judges arguments that tie a program to Docker.
func dockerFlags(c *container) []hit {
	var out []hit
	for _, words := range [...][]string{c.Command, c.Args} {
		for _, w := range words {
			if !strings.Contains(w, "docker") {
				continue
			}
			name := strings.TrimLeft(w, "-")
			severity, message := advising, ""
			switch {
			case name == "docker_only", name == "docker_only=true":
				severity, message = failing, "shows Docker's containers alone"
			case strings.HasPrefix(w, "-") && (name == "providers.docker" || name == "providers.docker=true" || strings.HasPrefix(name, "providers.docker.")):
				message = "takes its routes from Docker's API"
				if c.reach("") == onNode {
					severity = failing
				}
			case strings.HasPrefix(w, "-") && (strings.HasSuffix(w, "docker-monitor.json") || strings.Contains(w, "health-checker-docker") || strings.Contains(w, "docker-monitor-")):
				message = "watches the health of Docker, which goes"
			}
			if message != "" {
				out = append(out, hit{severity, message, "use what the program has for the target or for Kubernetes", c.says("argument %s", w), c.at("args")})
			}
		}
	}
	return out
}
