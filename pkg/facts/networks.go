package facts

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/runtimes"
)

const (
	// maxNetworks and maxNetwork are more than any node has, and than any network's configuration is long.
	maxNetworks = 64
	maxNetwork  = 256 << 10
)

// networks reads the names and plugins of CNI's configurations. Their texts stay on the node: agents rewrite them at
// will, and some hold credentials.
func (g *gatherer) networks() {
	for _, dir := range runtimes.CNIConfDirs(g.facts) {
		d, ok := g.facts.Dir(dir)
		if !ok {
			continue
		}
		for _, name := range d.Entries {
			if !slices.Contains([]string{".conf", ".conflist", ".json"}, path.Ext(name)) {
				continue
			}
			if len(g.facts.Networks) == maxNetworks {
				g.problem("directory "+dir, fmt.Errorf("more than %d configurations of CNI", maxNetworks))
				return
			}
			n := v1alpha1.Network{Path: path.Join(dir, name)}
			if x, err := g.m.Files.Lstat(n.Path); err != nil || x.Type == v1alpha1.Directory {
				continue
			}
			data, err := g.m.Files.Read(n.Path, maxNetwork)
			if errors.Is(err, host.ErrNotExist) {
				continue // a link to nowhere, or gone since
			}
			if err == nil {
				err = decodeNetwork(&n, data)
			}
			if err != nil {
				n.Problem = err.Error()
			}
			g.facts.Networks = append(g.facts.Networks, n)
		}
	}
}

// decodeNetwork reads a list of plugins (.conflist) or a single plugin (.conf, .json), as libcni tells them apart.
func decodeNetwork(n *v1alpha1.Network, data []byte) error {
	type plugin struct {
		Type string `json:"type"`
	}
	var doc struct {
		Name    string   `json:"name"`
		Plugins []plugin `json:"plugins"`
		plugin
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return fmt.Errorf("not valid JSON: %w", err)
	}
	n.Name = doc.Name
	list := []plugin{doc.plugin}
	if path.Ext(n.Path) == ".conflist" {
		list = doc.Plugins
	}
	for _, p := range list {
		if p.Type == "" {
			return errors.New("a plugin without a type")
		}
		n.Plugins = append(n.Plugins, p.Type)
	}
	return nil
}
