package v1alpha1_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

var update = flag.Bool("update", false, "write the fields of this program's format down anew")

func TestKnown(t *testing.T) {
	const first, ours, group = "kubectl-runtime/v1alpha1", "kubectl-runtime/v1alpha2", "kubectl-runtime/"
	for _, c := range []struct {
		header v1alpha1.Header
		format int
		err    string // "newer", or a part of its words
	}{
		{v1alpha1.Header{APIVersion: first}, 1, ""},
		{v1alpha1.Header{APIVersion: ours, Format: v1alpha1.Format}, v1alpha1.Format, ""},
		{v1alpha1.Header{APIVersion: ours, Format: v1alpha1.Format + 1}, 0, "newer"},
		{v1alpha1.Header{APIVersion: group + "v1beta1", Format: v1alpha1.Format}, 0, "newer"},
		{v1alpha1.Header{APIVersion: group + "v1"}, 0, "newer"},
		{v1alpha1.Header{APIVersion: first, Format: v1alpha1.Format + 1}, 0, "newer"},
		{v1alpha1.Header{APIVersion: first, Format: 1}, 0, "no format 1"},
		{v1alpha1.Header{APIVersion: ours}, 0, "no format 0"},
		{v1alpha1.Header{APIVersion: ours, Format: 1}, 0, "no format 1"},
		{v1alpha1.Header{APIVersion: "v1", Kind: "Pod"}, 0, `"Pod" of "v1"`},
		{v1alpha1.Header{}, 0, "of"},
	} {
		format, err := c.header.Known()
		var newer *v1alpha1.NewerError
		if c.err == "newer" {
			if !errors.As(err, &newer) {
				t.Errorf("%+v: %d, %v", c.header, format, err)
			}
			continue
		}
		if format != c.format || errors.As(err, &newer) || c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%+v: %d, %v", c.header, format, err)
		}
	}
}

func TestNewerError(t *testing.T) {
	for _, c := range []struct {
		header v1alpha1.Header
		want   string
	}{
		{
			v1alpha1.Header{APIVersion: v1alpha1.APIVersion, Format: 7, Version: "v0.9.0"},
			"the record was written by kubectl runtime v0.9.0 (format 7), and this one reads formats up to %d: use kubectl runtime v0.9.0 or later",
		},
		{
			v1alpha1.Header{APIVersion: "kubectl-runtime/v1"},
			"the record was written by a later kubectl runtime (kubectl-runtime/v1), and this one reads formats up to %d: use the kubectl runtime that wrote it",
		},
	} {
		if diff := cmp.Diff(fmt.Sprintf(c.want, v1alpha1.Format), (&v1alpha1.NewerError{Header: c.header, What: "the record"}).Error()); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
}

// fields lists what a document of a type may hold.
func fields(prefix string, typ reflect.Type, above []reflect.Type) []string {
	for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
		typ = typ.Elem()
	}
	if typ.Kind() != reflect.Struct || typ == reflect.TypeFor[time.Time]() || slices.Contains(above, typ) {
		return nil
	}
	var out []string
	for i := range typ.NumField() {
		f := typ.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		name = prefix + "." + name
		out = append(append(out, name), fields(name, f.Type, append(above, typ))...)
	}
	return out
}

// TestFields: a document with a field that its format doesn't have can't be read by programs of that format. Whoever changes a
// field raises Format, if a release has written documents of it; else he writes the fields down anew with -update.
func TestFields(t *testing.T) {
	var have []string
	for _, x := range []any{v1alpha1.Run{}, v1alpha1.Plan{}, v1alpha1.Request{}} {
		have = append(have, fields(reflect.TypeOf(x).Name(), reflect.TypeOf(x), nil)...)
	}
	file := fmt.Sprintf("testdata/format-%d/fields.txt", v1alpha1.Format)
	if *update {
		if err := os.WriteFile(file, []byte(strings.Join(have, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(written(t, file), have); diff != "" {
		t.Errorf("the fields of format %d (-written +now):\n%s", v1alpha1.Format, diff)
	}
	// What earlier programs wrote is read strictly, too.
	for format := v1alpha1.FormatAlpha1; format < v1alpha1.Format; format++ {
		for _, name := range written(t, fmt.Sprintf("testdata/format-%d/fields.txt", format)) {
			if !slices.Contains(have, name) {
				t.Errorf("%s of format %d isn't read any more", name, format)
			}
		}
	}
}

func written(t *testing.T, file string) []string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(data)), "\n")
}
