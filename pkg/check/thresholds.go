package check

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// ceiling is the use of a file system at which the kubelet starts to take things away, and the setting that says so.
type ceiling struct {
	used int64
	name string
}

// ceilings are those of the bytes, or of the inodes, of a file system that holds the target's images: the kubelet watches
// it as its image file system once the target serves, and as its own where its root lies there.
func ceilings(n *node, fs v1alpha1.Filesystem, inodes bool) []ceiling {
	total, signal := fs.Bytes, "available"
	var out []ceiling
	if inodes {
		total, signal = fs.Inodes, "inodesFree"
	} else if high := collects(n); high < 100 {
		out = append(out, ceiling{part(total, float64(high)), fmt.Sprintf("the kubelet's image garbage collection threshold of %d %%", high)})
	}
	signals := []string{"imagefs." + signal}
	if root, ok := filesystem(n.f, n.v.RootDir, "/var/lib/kubelet"); ok && root.Device == fs.Device {
		signals = append(signals, "nodefs."+signal)
	}
	for _, name := range signals {
		if left := evicts(n, name, total); left > 0 {
			out = append(out, ceiling{total - left, "the kubelet's eviction threshold " + name})
		}
	}
	return out
}

// lowest is the ceiling that is met first; the end of the file system where the kubelet has none.
func lowest(total int64, list []ceiling) ceiling {
	return slices.MinFunc(append(list, ceiling{total, "its end"}), func(a, b ceiling) int {
		switch {
		case a.used < b.used:
			return -1
		case a.used > b.used:
			return 1
		}
		return 0
	})
}

// collects is the use in percent at which images are collected; 100 means never.
func collects(n *node) int {
	if text, _, _, ok := n.config.Get("image-gc-high-threshold", "imageGCHighThresholdPercent"); ok {
		if v, err := strconv.Atoi(text); err == nil {
			return v
		}
	}
	return 85
}

// evicts is what must be left of a signal, in its unit; 0 where the kubelet doesn't watch it. Naming any signal drops the
// kubelet's defaults of the others, unless it is told to merge them.
func evicts(n *node, signal string, total int64) int64 {
	values, told := n.config.Table("eviction-hard", "evictionHard")
	text := values[signal]
	if merge, _, _, _ := n.config.Get("", "mergeDefaultEvictionSettings"); text == "" && (!told || merge == "true") {
		text = map[string]string{"nodefs.available": "10%", "imagefs.available": "15%", "nodefs.inodesFree": "5%"}[signal]
		if signal == "imagefs.inodesFree" && n.v.Minor >= 30 {
			text = "5%"
		}
	}
	soft, _ := n.config.Table("eviction-soft", "evictionSoft")
	return max(quantity(text, total), quantity(soft[signal], total))
}

// part is that many percent, without leaving int64 on the way.
func part(total int64, percent float64) int64 { return int64(float64(total) * percent / 100) }

// quantity reads a threshold: percent of the total, or a quantity as Kubernetes writes it; 0 for what it can't read.
func quantity(text string, total int64) int64 {
	if percent, ok := strings.CutSuffix(text, "%"); ok {
		v, err := strconv.ParseFloat(percent, 64)
		if err != nil || v < 0 || v > 100 {
			return 0
		}
		return part(total, v)
	}
	digits := strings.TrimRight(text, "KkMGTPEim")
	unit, known := map[string]float64{
		"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40, "Pi": 1 << 50,
	}[text[len(digits):]]
	v, err := strconv.ParseFloat(digits, 64)
	if err != nil || !known || v < 0 {
		return 0
	}
	return int64(v * unit)
}
