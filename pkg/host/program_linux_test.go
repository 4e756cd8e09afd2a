package host

import (
	"errors"
	"os"
	"testing"
)

// TestProgram: what others than root may write, or lead elsewhere, is never run.
func TestProgram(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("what root owns, root alone makes")
	}
	dir := shortDir(t)
	at := func(name string) string { return dir + "/" + name } // with what Join would take out
	for name, mode := range map[string]os.FileMode{"good": 0o755, "group": 0o755, "sticky": 0o755, "theirs": 0o755} {
		if err := os.Mkdir(at(name), mode); err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{"run", "data"} {
			if err := os.WriteFile(at(name+"/"+file), []byte("#!/bin/sh\necho "+name+"\n"), 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(
		os.Chmod(dir, 0o755), os.Chmod(at("group"), 0o775), os.Chmod(at("sticky"), 0o777|os.ModeSticky), os.Chown(at("theirs"), 65534, 65534),
		os.Chmod(at("good/data"), 0o644), os.Symlink("good/run", at("link")), os.Symlink("../good/run", at("sticky/link")),
		os.Symlink(at("theirs/run"), at("to-theirs")), os.Symlink("../theirs", at("good/dir")), os.Symlink("self", at("self")),
	); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"owned", "writable"} {
		if err := os.WriteFile(at("good/"+file), []byte("#!/bin/sh\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Chown(at("good/owned"), 65534, 0), os.Chmod(at("good/writable"), 0o775)); err != nil {
		t.Fatal(err)
	}
	commands := linuxCommands{names: []string{"run", "to-theirs", "link", "owned", "writable"}}
	for _, c := range []struct{ program, refused string }{
		{"good/run", ""},
		{"link", ""},
		{"good/../good/run", ""},
		{"group/run", "group"},
		{"sticky/run", "sticky"},
		{"sticky/link", "sticky"},
		{"theirs/run", "theirs"},
		{"to-theirs", "theirs"},
		{"good/dir/run", "theirs"},
		{"good/owned", "good/owned"},
		{"good/writable", "good/writable"},
		{"good/dir/../good/run", "theirs"},
	} {
		_, err := newFiles(nil).Program(at(c.program))
		out, errRun := commands.Output(t.Context(), []string{at(c.program)}, nil)
		if c.refused == "" {
			if err != nil || errRun != nil || string(out) != "good\n" {
				t.Errorf("%s: %v, %v, %q", c.program, err, errRun, out)
			}
			continue
		}
		var untrusted *UntrustedError
		if !errors.As(err, &untrusted) || untrusted.At != at(c.refused) || !errors.As(errRun, &untrusted) || len(out) > 0 {
			t.Errorf("%s: %v, %v, %q", c.program, err, errRun, out)
		}
	}
	for _, none := range []string{"none", "good/data", "good", "self"} {
		if got, err := newFiles(nil).Program(at(none)); err == nil {
			t.Errorf("%s: %s is a program", none, got)
		}
	}
	if out, err := (linuxCommands{names: []string{"other"}}).Output(t.Context(), []string{at("good/run")}, nil); err == nil {
		t.Errorf("a program that may not be run said %q", out)
	}
	if _, err := newFiles(nil).Program("run"); err == nil {
		t.Error("a name without a path is a program")
	}
}

// TestStartable: this program starts itself even where others may write its directory by now, and nothing else that others may write.
func TestStartable(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("what root owns, root alone makes")
	}
	dir := shortDir(t)
	at := func(name string) string { return dir + "/" + name }
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(
		os.Chmod(dir, 0o755), os.Mkdir(at("open"), 0o700), os.Chmod(at("open"), 0o775), os.Symlink(self, at("open/agent")),
		os.WriteFile(at("open/run"), []byte("#!/bin/sh\n"), 0o755), os.WriteFile(at("run"), []byte("#!/bin/sh\n"), 0o755), os.WriteFile(at("other"), []byte("#!/bin/sh\n"), 0o755),
	); err != nil {
		t.Fatal(err)
	}
	units := &linuxUnits{programs: []string{"run"}}
	for _, good := range []string{self, at("open/agent"), at("run")} {
		if err := units.startable(good); err != nil {
			t.Error(err)
		}
	}
	var untrusted *UntrustedError
	if err := units.startable(at("open/run")); !errors.As(err, &untrusted) {
		t.Errorf("in a directory that others may write: %v", err)
	}
	if err := units.startable(at("other")); err == nil || errors.As(err, &untrusted) {
		t.Errorf("a program that may not be run: %v", err)
	}
}
