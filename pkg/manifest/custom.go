package manifest

import (
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"
)

// search goes through an object of any kind for what pods are made of:
//
//   - a mapping with a list of containers, which is a pod's spec (most operators);
//   - one with a list of steps that have images (Tekton);
//   - one with a list of volumes, or with a single container, whose containers are scattered below it (Argo's workflows,
//     Prometheus, runners).
func (o *object) search(at *place, n *yaml.Node, depth int) {
	n = resolved(n)
	switch {
	case n == nil:
		return
	case n.Kind == yaml.SequenceNode:
		for i := range n.Content {
			o.search(at.index(i), n.Content[i], depth+1)
		}
		return
	case n.Kind != yaml.MappingNode:
		return
	}
	if isPodSpec(field(n, "spec")) || isPodSpec(n) {
		o.podLike(at, n)
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if depth == 0 && (n.Content[i].Value == "metadata" || n.Content[i].Value == "status") {
			continue
		}
		o.search(at.index(i+1), n.Content[i+1], depth+1)
	}
}

// isPodSpec reports whether a mapping is what pods are made of.
func isPodSpec(n *yaml.Node) bool {
	return isContainers(field(n, "containers")) || isContainers(field(n, "steps")) || isVolumes(field(n, "volumes")) ||
		isContainer(field(n, "container")) || isContainer(field(n, "script"))
}

// isContainers reports whether a value is a list of containers.
func isContainers(n *yaml.Node) bool {
	list := elements(n)
	return len(list) > 0 && !slices.ContainsFunc(list, func(c *yaml.Node) bool { return text(c, "name") == "" && text(c, "image") == "" }) &&
		slices.ContainsFunc(list, func(c *yaml.Node) bool {
			return text(c, "image") != "" || field(c, "volumeMounts") != nil || field(c, "env") != nil || field(c, "command") != nil || field(c, "args") != nil
		})
}

// isVolumes reports whether a value is a list of a pod's volumes.
func isVolumes(n *yaml.Node) bool {
	sources := []string{"hostPath", "configMap", "persistentVolumeClaim", "emptyDir", "secret", "projected", "csi", "nfs", "ephemeral"}
	list := elements(n)
	return len(list) > 0 && !slices.ContainsFunc(list, func(v *yaml.Node) bool {
		return text(v, "name") == "" || !slices.ContainsFunc(sources, func(s string) bool { return field(v, s) != nil })
	})
}

// podLike takes in a pod's spec, or a template with one, of a custom kind.
func (o *object) podLike(at *place, n *yaml.Node) {
	specAt, spec := at, n
	if isPodSpec(field(n, "spec")) {
		specAt, spec = at.field(n, "spec")
	}
	var pod corev1.PodSpec
	if isContainers(field(spec, "containers")) && decode(spec, &pod) == nil {
		o.add(at, n, pod, nil)
		return
	}
	// What isn't a pod's spec to the letter is gathered from wherever it stands.
	pod = corev1.PodSpec{ServiceAccountName: text(spec, "serviceAccountName")}
	some(spec, "volumes", &pod.Volumes)
	places := o.scattered(specAt, spec, 0)
	for i, p := range places {
		pod.Containers = append(pod.Containers, partOfContainer(o.l.node(p), i))
	}
	o.add(at, n, pod, map[string][]*place{"containers": places})
}

// partOfContainer reads what there is of a container. Operators have fields of the same names with other types: those are left out.
func partOfContainer(n *yaml.Node, i int) corev1.Container {
	c := corev1.Container{Name: scatteredName(n, i), Image: text(n, "image"), WorkingDir: text(n, "workingDir")}
	some(n, "command", &c.Command)
	some(n, "args", &c.Args)
	some(n, "env", &c.Env)
	some(n, "envFrom", &c.EnvFrom)
	some(n, "volumeMounts", &c.VolumeMounts)
	some(n, "securityContext", &c.SecurityContext)
	for _, script := range []string{"script", "source"} {
		if s := text(n, script); s != "" {
			c.Command = append(c.Command, s)
		}
	}
	return c
}

// some reads a field that has the type, and leaves it out where it hasn't.
func some[T any](n *yaml.Node, key string, into *T) {
	var v T
	if f := field(n, key); f != nil && decode(f, &v) == nil {
		*into = v
	}
}

// scatteredName names a container that has no name; each needs one.
func scatteredName(n *yaml.Node, i int) string {
	if name := text(n, "name"); name != "" {
		return name
	}
	return "container-" + strconv.Itoa(i)
}

// scattered are the places of the mappings that mount volumes or name an image, the spec itself included.
func (o *object) scattered(at *place, n *yaml.Node, depth int) []*place {
	n = resolved(n)
	if n == nil || depth > maxScattered {
		return nil
	}
	var out []*place
	if n.Kind == yaml.MappingNode && isContainer(n) {
		out = append(out, at)
	}
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode && (i%2 == 0 || n.Content[i-1].Value == "volumes") {
			continue
		}
		if k := resolved(c).Kind; k == yaml.MappingNode || k == yaml.SequenceNode {
			out = append(out, o.scattered(at.index(i), c, depth+1)...)
		}
	}
	return out
}

// maxScattered is how deep below the volumes containers are looked for.
const maxScattered = 8

// isContainer reports whether a mapping is a container, or the part of one that an operator completes.
func isContainer(n *yaml.Node) bool {
	image := field(n, "image")
	return image != nil && image.Kind == yaml.ScalarNode && (field(n, "command") != nil || field(n, "args") != nil || field(n, "script") != nil || field(n, "source") != nil ||
		field(n, "volumeMounts") != nil || field(n, "name") != nil || field(n, "env") != nil) ||
		field(n, "volumeMounts") != nil && field(n, "volumeMounts").Kind == yaml.SequenceNode
}
