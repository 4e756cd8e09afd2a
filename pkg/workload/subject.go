package workload

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// subject is a workload as rules look at it.
type subject struct {
	j          *judge
	w          *Workload
	volumes    map[string]volume
	containers []container
	// ownDaemon says that a container of the pod is a Docker daemon.
	ownDaemon bool
}

// container is one of a workload's containers, those that start it and those that debug it included.
type container struct {
	s *subject
	*corev1.Container
	// list is the field of the pod that holds it.
	list   string
	mounts []mount
	env    map[string]variable
	// order names the variables as they are written.
	order []string

	isRead bool
	uses   uses
}

// variable is an environment variable with the references to others resolved.
type variable struct {
	value string
	// from says where it stands, when that isn't the container itself.
	from string
	// unread says that the value stands in a Secret, or where nothing could be read.
	unread bool
}

func (j *judge) subject(w *Workload) *subject {
	s := &subject{j: j, w: w, volumes: make(map[string]volume, len(w.Spec.Volumes))}
	for i := range w.Spec.Volumes {
		v := &w.Spec.Volumes[i]
		s.volumes[v.Name] = s.volumeOf(v)
	}
	s.containers = make([]container, 0, len(w.Spec.Containers)+len(w.Spec.InitContainers))
	for i := range w.Spec.InitContainers {
		s.add("initContainers", &w.Spec.InitContainers[i])
	}
	for i := range w.Spec.Containers {
		s.add("containers", &w.Spec.Containers[i])
	}
	for i := range w.Spec.EphemeralContainers {
		c := corev1.Container(w.Spec.EphemeralContainers[i].EphemeralContainerCommon)
		s.add("ephemeralContainers", &c)
	}
	return s
}

func (s *subject) add(list string, c *corev1.Container) {
	n := container{s: s, Container: c, list: list}
	n.readEnv()
	n.mounts = n.mounted()
	s.ownDaemon = s.ownDaemon || n.isDaemon()
	s.containers = append(s.containers, n)
}

// isDaemon reports whether the container is a Docker daemon of its own.
func (c *container) isDaemon() bool {
	name, tag := repository(c.Image)
	if strings.Contains(name, "dind") || name == "docker" && strings.Contains(tag, "dind") {
		return true
	}
	for _, words := range [...][]string{c.Command, c.Args} {
		for _, w := range words {
			if strings.Contains(w, "dockerd") {
				for _, k := range c.used().calls {
					if strings.HasPrefix(base(k.Argv[0]), "dockerd") && !k.Host && k.Root == "" {
						return true
					}
				}
			}
		}
	}
	return false
}

// repository returns the last part of an image's name, and its tag.
func repository(image string) (name, tag string) {
	image, _, _ = strings.Cut(image, "@")
	image = image[strings.LastIndexByte(image, '/')+1:]
	name, tag, _ = strings.Cut(image, ":")
	return name, tag
}

func base(p string) string { return p[strings.LastIndexByte(p, '/')+1:] }

func (c *container) readEnv() {
	if len(c.Env) == 0 && len(c.EnvFrom) == 0 {
		return
	}
	c.env = map[string]variable{}
	ns := c.s.w.Object.Namespace
	for _, from := range c.EnvFrom {
		if from.ConfigMapRef == nil {
			continue
		}
		for key, value := range c.s.j.inv.ConfigMaps[Key{Namespace: ns, Name: from.ConfigMapRef.Name}] {
			c.env[from.Prefix+key] = variable{value: value, from: "ConfigMap " + from.ConfigMapRef.Name}
		}
	}
	c.order = slices.Sorted(maps.Keys(c.env))
	for _, e := range c.Env {
		v := variable{value: c.expand(e.Value)}
		if src := e.ValueFrom; src != nil {
			switch {
			case src.FieldRef != nil:
				v.value = "$(" + src.FieldRef.FieldPath + ")"
			case src.ConfigMapKeyRef != nil:
				v.from = "ConfigMap " + src.ConfigMapKeyRef.Name
				value, ok := c.s.j.inv.ConfigMaps[Key{Namespace: ns, Name: src.ConfigMapKeyRef.Name}][src.ConfigMapKeyRef.Key]
				v.value, v.unread = value, !ok
			case src.SecretKeyRef != nil:
				v.from, v.unread = "Secret "+src.SecretKeyRef.Name, true
			}
		}
		if _, ok := c.env[e.Name]; !ok {
			c.order = append(c.order, e.Name)
		}
		c.env[e.Name] = v
	}
}

// expand replaces $(NAME) by the variables before it as the kubelet does; $$ stands for $. What isn't known stays.
func (c *container) expand(s string) string {
	if !strings.Contains(s, "$") {
		return s
	}
	var b strings.Builder
	for {
		i := strings.IndexByte(s, '$')
		if i < 0 || i == len(s)-1 {
			b.WriteString(s)
			return b.String()
		}
		b.WriteString(s[:i])
		s = s[i:]
		end := strings.IndexByte(s, ')')
		switch {
		case s[1] == '$':
			b.WriteByte('$')
			s = s[2:]
		case s[1] == '(' && end > 0:
			if v, ok := c.env[s[2:end]]; ok && !v.unread {
				b.WriteString(v.value)
			} else {
				b.WriteString(s[:end+1])
			}
			s = s[end+1:]
		default:
			b.WriteByte('$')
			s = s[1:]
		}
	}
}

// line returns the line of a field of the pod template.
func (s *subject) line(path ...string) int {
	if s.w.Line == nil {
		return s.w.Source.Line
	}
	return cmp.Or(s.w.Line(path...), s.w.Source.Line)
}

// at returns the line of a field of the container.
func (c *container) at(path ...string) int {
	if c.s.w.Line == nil {
		return c.s.w.Source.Line
	}
	return c.s.line(append([]string{"spec", c.list, c.Name}, path...)...)
}

// says formats evidence within the container.
func (c *container) says(format string, args ...any) string {
	return "container " + c.Name + ": " + fmt.Sprintf(format, args...)
}

func sortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}
