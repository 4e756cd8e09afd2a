//go:build e2e

// Package photo photographs a node: its files, units, processes, mounts and network, as lines that can be compared. It
// looks with the node's own tools and knows nothing of the product.
package photo

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Machine runs a shell script and returns its standard output.
type Machine interface {
	Run(ctx context.Context, script string) ([]byte, error)
}

// Photo is what was seen of a node at one moment.
type Photo struct {
	Taken time.Time
	// Lines say what is there, keyed by kind and name: "file /etc/crictl.yaml" → "0644 0:0 sha256:…".
	Lines map[string]string
	// Orphans are things that belong to no living pod: a process, a mount, a network namespace, an address. A settled
	// node has none.
	Orphans []string
}

// Take photographs the machine. pods are those that the API server has on the node, to tell what belongs to a living
// pod from what was left behind.
func Take(ctx context.Context, m Machine, pods []corev1.Pod) (*Photo, error) {
	p := &Photo{Taken: time.Now(), Lines: map[string]string{}}
	living := tenantsOf(pods)
	for _, part := range []struct {
		name string
		take func(context.Context, Machine, *tenants, *Photo) error
	}{
		{"files", takeFiles},
		{"units", takeUnits},
		{"processes", takeProcesses},
		{"mounts", takeMounts},
		{"network", takeNetwork},
		{"packet filter", takeFilter},
	} {
		if err := part.take(ctx, m, living, p); err != nil {
			return nil, fmt.Errorf("photographing %s: %w", part.name, err)
		}
	}
	slices.Sort(p.Orphans)
	return p, nil
}

func (p *Photo) set(kind, name, value string) { p.Lines[kind+" "+name] = value }

func (p *Photo) orphan(format string, args ...any) {
	p.Orphans = append(p.Orphans, fmt.Sprintf(format, args...))
}

// Keys returns the names of one kind, sorted.
func (p *Photo) Keys(kind string) []string {
	var names []string
	for key := range p.Lines {
		if name, ok := strings.CutPrefix(key, kind+" "); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Allowance is a kind of line that may differ between two photographs, and why.
type Allowance struct {
	Line *regexp.Regexp
	Why  string
}

// Diff lists what differs between two photographs and isn't allowed to, and what the later one holds that belongs to
// nobody: "-" was there before, "+" is there now.
func Diff(before, after *Photo, allowed []Allowance) []string {
	var diff []string
	keys := slices.Sorted(maps.Keys(before.Lines))
	for key := range after.Lines {
		if _, ok := before.Lines[key]; !ok {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		was, had := before.Lines[key]
		is, has := after.Lines[key]
		if had == has && was == is || Excuses(key, allowed) {
			continue
		}
		if had {
			diff = append(diff, fmt.Sprintf("- %s: %s", key, was))
		}
		if has {
			diff = append(diff, fmt.Sprintf("+ %s: %s", key, is))
		}
	}
	for _, orphan := range after.Orphans {
		diff = append(diff, "! "+orphan)
	}
	return diff
}

// Excuses reports whether a line may differ.
func Excuses(line string, allowed []Allowance) bool {
	return slices.ContainsFunc(allowed, func(a Allowance) bool { return a.Line.MatchString(line) })
}

// tenants is what is known of the pods that live on the node.
type tenants struct {
	byUID map[string]*corev1.Pod
	// byIP are the pods with an address of the pod network.
	byIP map[string]*corev1.Pod
	// containers are how many containers and sandboxes the pods have together, at most.
	containers, sandboxes int
}

func tenantsOf(pods []corev1.Pod) *tenants {
	l := &tenants{byUID: map[string]*corev1.Pod{}, byIP: map[string]*corev1.Pod{}}
	for i := range pods {
		pod := &pods[i]
		if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
			continue
		}
		l.byUID[uid(pod)] = pod
		l.sandboxes++
		l.containers += len(pod.Spec.Containers) + len(pod.Spec.InitContainers)
		if !pod.Spec.HostNetwork {
			for _, ip := range pod.Status.PodIPs {
				l.byIP[ip.IP] = pod
			}
		}
	}
	return l
}

// uid is the name under which the kubelet knows the pod: a static pod has one of its own.
func uid(pod *corev1.Pod) string {
	if hash := pod.Annotations["kubernetes.io/config.hash"]; hash != "" {
		return hash
	}
	return string(pod.UID)
}

// stays reports whether a drain leaves the pod on its node, and its name there for good.
func stays(pod *corev1.Pod) (name string, ok bool) {
	for _, owner := range pod.OwnerReferences {
		switch owner.Kind {
		case "DaemonSet":
			return pod.Namespace + "/daemonset/" + owner.Name, true
		case "Node":
			return pod.Namespace + "/static/" + pod.Name, true
		}
	}
	return "", false
}
