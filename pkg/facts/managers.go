package facts

import (
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
)

// manager is an agent of configuration management and how it is recognised: by its units, and by programs of root, which run
// outside a unit where cron or an operator starts them.
type manager struct {
	name            string
	units, programs []string
}

var managers = []manager{
	{"Ansible", []string{"ansible-pull.service", "ansible-pull.timer"}, []string{"ansible-pull"}},
	{"CFEngine", []string{"cfengine3.service", "cf-execd.service"}, []string{"cf-execd", "cf-agent"}},
	{"Chef", []string{"chef-client.service", "chef-client.timer", "cinc-client.service", "cinc-client.timer"}, []string{"chef-client", "cinc-client"}},
	{"Puppet", []string{"puppet.service", "puppet-agent.service", "puppet.timer", "puppet-agent.timer", "puppet-run.timer"}, []string{"puppet"}},
	{"Salt", []string{"salt-minion.service", "venv-salt-minion.service"}, []string{"salt-minion"}},
}

// managers looks for what may write the node's files after the switch has changed them.
func (g *gatherer) managers(ctx context.Context) {
	processes, err := g.m.Procs.OfRoot()
	g.problem("processes of root", err)
	for _, m := range managers {
		seen := g.inForce(ctx, m.units)
		for _, p := range processes {
			if slices.Contains(m.programs, program(p)) {
				seen = append(seen, fmt.Sprintf("process %d (%s)", p.PID, program(p)))
			}
		}
		g.manager(m.name, seen)
	}
	g.manager("cloud-init", g.cloudInit(ctx))
	slices.SortFunc(g.facts.Managers, func(a, b v1alpha1.ConfigManager) int { return strings.Compare(a.Name, b.Name) })
}

func (g *gatherer) manager(name string, seen []string) {
	if len(seen) > 0 {
		g.facts.Managers = append(g.facts.Managers, v1alpha1.ConfigManager{Name: name, Seen: seen})
	}
}

// inForce tells which of the units run, or are started at boot.
func (g *gatherer) inForce(ctx context.Context, units []string) []string {
	var out []string
	for _, name := range units {
		u, err := g.m.Units.Show(ctx, name)
		g.problem("unit "+name, err)
		switch {
		case err != nil:
		case u.ActiveState == "active" || u.ActiveState == "activating" || u.ActiveState == "reloading":
			out = append(out, name+" ("+u.ActiveState+")")
		case u.FileState == "enabled" || u.FileState == "enabled-runtime":
			out = append(out, name+" ("+u.FileState+")")
		}
	}
	return out
}

// interpreter matches programs that run a script.
var interpreter = regexp.MustCompile(`^(?:python|ruby|perl|sh|bash|dash)[0-9.]*$`)

// program is the name of what a process runs: its own, or its script's. Agents write what they do into their command line, all of
// it into its first word.
func program(p v1alpha1.Process) string {
	words := strings.Fields(strings.Join(p.Argv, " "))
	if len(words) == 0 {
		return path.Base(p.Exe)
	}
	if !interpreter.MatchString(path.Base(words[0])) {
		return path.Base(words[0])
	}
	for _, w := range words[1:] {
		if !strings.HasPrefix(w, "-") {
			return path.Base(w)
		}
	}
	return path.Base(words[0])
}

const (
	cloudDir   = "/etc/cloud"
	cloudBoot  = "/var/lib/cloud/scripts/per-boot"
	cloudState = "/var/lib/cloud/instance/cloud-config.txt"
)

var (
	cloudUnits = []string{"cloud-init.service", "cloud-init-main.service", "cloud-config.service", "cloud-final.service"}
	// cloudWriters are the modules that write files or run what an operator wrote. Most run once for an instance.
	cloudWriters = []string{
		"write_files", "write_files_deferred", "runcmd", "scripts_user", "scripts_vendor", "scripts_per_instance", "scripts_per_once",
		"ansible", "chef", "puppet", "salt_minion",
	}
)

// cloudInit tells what cloud-init runs at each boot, which nearly every cloud's node leaves out. Its configuration may hold
// secrets: none of it is told.
func (g *gatherer) cloudInit(ctx context.Context) []string {
	off, err := g.m.Files.Lstat(path.Join(cloudDir, "cloud-init.disabled"))
	g.problem("file "+off.Path, err)
	if err != nil || off.Type != v1alpha1.Absent || len(g.inForce(ctx, cloudUnits)) == 0 {
		return nil
	}
	var out []string
	for _, name := range g.list(cloudBoot) {
		if g.executable(path.Join(cloudBoot, name)) {
			out = append(out, path.Join(cloudBoot, name))
		}
	}
	files := []string{path.Join(cloudDir, "cloud.cfg"), cloudState}
	for _, name := range g.list(path.Join(cloudDir, "cloud.cfg.d")) {
		if strings.HasSuffix(name, ".cfg") {
			files = append(files, path.Join(cloudDir, "cloud.cfg.d", name))
		}
	}
	for _, file := range files {
		data, err := g.m.Files.Read(file, maxContent)
		switch {
		case errors.Is(err, host.ErrNotExist):
			continue
		case err != nil:
			g.problem("file "+file, err)
			continue
		}
		if module := everyBoot(data); module != "" {
			out = append(out, file+" ("+module+")")
		}
	}
	return out
}

// everyBoot names what a configuration of cloud-init makes it do at each boot; empty where that is nothing.
func everyBoot(data []byte) string {
	var doc struct {
		Bootcmd []any `yaml:"bootcmd"`
		Init    []any `yaml:"cloud_init_modules"`
		Config  []any `yaml:"cloud_config_modules"`
		Final   []any `yaml:"cloud_final_modules"`
	}
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return "" // cloud-init leaves it out, too
	}
	if len(doc.Bootcmd) > 0 {
		return "bootcmd"
	}
	for _, module := range slices.Concat(doc.Init, doc.Config, doc.Final) {
		words, _ := module.([]any) // a name alone runs as often as the module's own default is
		if len(words) < 2 || words[1] != "always" {
			continue
		}
		if name, _ := words[0].(string); slices.Contains(cloudWriters, strings.ReplaceAll(name, "-", "_")) {
			return name + " at each boot"
		}
	}
	return ""
}

// list returns the names in a directory; none where there is no directory.
func (g *gatherer) list(dir string) []string {
	names, err := g.m.Files.ReadDir(dir)
	if !errors.Is(err, host.ErrNotExist) {
		g.problem("directory "+dir, err)
	}
	return names
}
