package hostpod

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Mutation is a field that admission changed.
type Mutation struct {
	Field  string
	Wanted string
	Got    string
}

// MutatedError says that admission would make another pod of ours than we asked for.
type MutatedError struct {
	Pod       string
	Mutations []Mutation
}

// Error implements error.
func (e *MutatedError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "the API server would change pod %s:", e.Pod)
	for _, m := range e.Mutations {
		fmt.Fprintf(&b, " %s: %s became %s;", m.Field, m.Wanted, m.Got)
	}
	fmt.Fprintf(&b, " %s", e.cause())
	return b.String()
}

// cause names what most probably did it, and the way around.
func (e *MutatedError) cause() string {
	for _, m := range e.Mutations {
		switch {
		case strings.HasSuffix(m.Field, ".imagePullPolicy") && m.Got == `"Always"`:
			return "the admission plugin AlwaysPullImages, or a policy like it, does that: name an image that the node can pull with --image"
		case strings.HasSuffix(m.Field, ".image"):
			return "a webhook rewrites image names: name an image it leaves alone with --image, or exempt the namespace"
		case strings.HasPrefix(m.Field, "spec.containers[") && strings.HasSuffix(m.Field, "]") && m.Wanted == absent, strings.HasPrefix(m.Field, "spec.initContainers"):
			return "a webhook adds sidecars: exempt the namespace, or choose another with -n"
		case m.Field == "spec.nodeSelector", m.Field == "spec.affinity":
			return "the namespace has a node selector: choose another namespace with -n"
		case strings.Contains(m.Field, ".resources."):
			return "a LimitRange of the namespace does that: choose another namespace with -n"
		}
	}
	return "a mutating webhook or policy does that: exempt the namespace, or choose another with -n"
}

const absent = "nothing"

// leastMemory is what the agent needs when a LimitRange gives it a limit.
const leastMemory = 128 << 20

// telling are fields that change what the pod may do or where it runs when somebody adds them. What else the API
// server adds are defaults.
var telling = map[string]bool{
	"spec.initContainers": true, "spec.nodeSelector": true, "spec.affinity": true, "spec.runtimeClassName": true,
	"spec.hostUsers": true, "spec.schedulingGates": true, "spec.os": true, "spec.shareProcessNamespace": true,
	"spec.hostname": true, "spec.securityContext.runAsNonRoot": true, "spec.securityContext.runAsUser": true,
	"spec.securityContext.seLinuxOptions": true,
}

// tellingContainer are the same below a container.
var tellingContainer = map[string]bool{
	"lifecycle": true, "livenessProbe": true, "startupProbe": true, "readinessProbe": true, "restartPolicy": true, "args": true, "workingDir": true, "envFrom": true,
	"securityContext.capabilities": true, "securityContext.seLinuxOptions": true, "securityContext.readOnlyRootFilesystem": true,
}

// tellingElement are the same in an element of one of a container's lists: a variable that we empty, and what is mounted at a path.
var tellingElement = map[string][]string{
	"env":          {"value", "valueFrom"},
	"volumeMounts": {"subPath", "subPathExpr"},
}

// Compare says what in the pod that admission returned isn't what was asked for. Defaults, and what doesn't touch the
// pod's use, are left out. An image that the operator named may be pulled always.
func Compare(asked, got *corev1.Pod, image Image) []Mutation {
	c := comparer{image: image}
	c.value("spec", toMap(asked.Spec), toMap(got.Spec))
	for _, x := range got.Spec.Containers {
		if limit, ok := x.Resources.Limits[corev1.ResourceMemory]; ok && limit.Value() < leastMemory {
			c.add("spec.containers[0].resources.limits.memory", nil, limit.String())
		}
	}
	for key, want := range asked.Labels {
		if got.Labels[key] != want {
			c.add("metadata.labels."+key, want, got.Labels[key])
		}
	}
	slices.SortFunc(c.found, func(a, b Mutation) int { return strings.Compare(a.Field, b.Field) })
	return c.found
}

type comparer struct {
	image Image
	found []Mutation
}

func (c *comparer) add(field string, want, got any) {
	c.found = append(c.found, Mutation{Field: field, Wanted: show(want), Got: show(got)})
}

func (c *comparer) value(field string, want, got any) {
	switch want := want.(type) {
	case map[string]any:
		m, _ := got.(map[string]any)
		for _, key := range slices.Sorted(maps.Keys(want)) {
			c.value(field+"."+key, want[key], m[key])
		}
		for _, key := range slices.Sorted(maps.Keys(m)) {
			if _, asked := want[key]; !asked && tells(field+"."+key) {
				c.add(field+"."+key, nil, m[key])
			}
		}
	case []any:
		c.list(field, want, got)
	default:
		if show(want) != show(got) && !c.tolerated(field, got) {
			c.add(field, want, got)
		}
	}
}

// list compares by name where elements have one: admission may put its own in front.
func (c *comparer) list(field string, want []any, got any) {
	list, _ := got.([]any)
	taken := map[int]bool{}
	for i, w := range want {
		j := i
		if key := nameOf(w); key != "" {
			j = slices.IndexFunc(list, func(x any) bool { return nameOf(x) == key })
		} else if !strings.HasSuffix(field, ".command") {
			j = slices.IndexFunc(list, func(x any) bool { return show(x) == show(w) })
		}
		if j < 0 || j >= len(list) {
			c.add(fmt.Sprintf("%s[%d]", field, i), w, nil)
			continue
		}
		taken[j] = true
		c.value(fmt.Sprintf("%s[%d]", field, i), w, list[j])
	}
	for j, x := range list {
		if !taken[j] && c.intrudes(field, want, x) {
			c.add(fmt.Sprintf("%s[%d]", field, j), nil, x)
		}
	}
}

// intrudes reports whether an element more in a list touches the pod's use. More volumes, tolerations and most variables don't; what
// is mounted over or into a path of ours does, and a variable that the dynamic linker reads, or that is there a second time: the last one wins.
func (c *comparer) intrudes(field string, want []any, x any) bool {
	switch {
	case field == "spec.containers", strings.HasSuffix(field, ".command"):
		return true
	case strings.HasSuffix(field, ".env"):
		return strings.HasPrefix(nameOf(x), "LD_") || slices.ContainsFunc(want, func(w any) bool { return nameOf(w) == nameOf(x) })
	case strings.HasSuffix(field, ".volumeMounts"):
		return slices.ContainsFunc(want, func(w any) bool { return overlap(nameOf(w), nameOf(x)) })
	}
	return false
}

// overlap reports whether one of two paths is the other or lies in it.
func overlap(a, b string) bool {
	within := func(x, dir string) bool { return dir == "/" || x == dir || strings.HasPrefix(x, dir+"/") }
	a, b = path.Clean(a), path.Clean(b)
	return within(a, b) || within(b, a)
}

func (c *comparer) tolerated(field string, got any) bool {
	return c.image.Given && strings.HasSuffix(field, ".imagePullPolicy") && got == string(corev1.PullAlways)
}

func tells(field string) bool {
	if telling[field] {
		return true
	}
	rest, ok := strings.CutPrefix(field, "spec.containers[")
	if !ok {
		return false
	}
	_, rest, _ = strings.Cut(rest, "].")
	if list, element, found := strings.Cut(rest, "["); found {
		_, key, _ := strings.Cut(element, "].")
		return slices.Contains(tellingElement[list], key)
	}
	return tellingContainer[rest]
}

func nameOf(x any) string {
	m, ok := x.(map[string]any)
	if !ok {
		return ""
	}
	// Mounts of one volume differ by their path.
	for _, key := range []string{"mountPath", "name"} {
		if s, ok := m[key].(string); ok {
			return s
		}
	}
	return ""
}

func show(x any) string {
	if x == nil {
		return absent
	}
	if m, ok := x.(map[string]any); ok && m["name"] != nil {
		if image, ok := m["image"]; ok {
			return fmt.Sprintf("container %v of image %v", m["name"], image)
		}
	}
	b, err := json.Marshal(x)
	if err != nil {
		return fmt.Sprint(x)
	}
	return string(b)
}

func toMap(x any) map[string]any {
	// A pod's spec always marshals: it is plain data.
	b, _ := json.Marshal(x)
	var m map[string]any
	_ = json.Unmarshal(b, &m)
	return m
}
