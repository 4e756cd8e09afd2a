package cmd

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/liggitt/tabwriter"
	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/printers"
	"k8s.io/kubectl/pkg/cmd/get"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/ui"
)

// outputFlags are the output flags of kubectl get.
type outputFlags struct {
	print *get.PrintFlags
}

func newOutputFlags() *outputFlags {
	format, noHeaders := "", false
	return &outputFlags{print: &get.PrintFlags{
		OutputFormat:       &format,
		NoHeaders:          &noHeaders,
		NamePrintFlags:     genericclioptions.NewNamePrintFlags(""),
		TemplateFlags:      genericclioptions.NewKubeTemplatePrintFlags(),
		CustomColumnsFlags: get.NewCustomColumnsPrintFlags(),
		// No flags for labels, sorting and managed fields: these documents have none of that.
		JSONYamlPrintFlags: nil,
		HumanReadableFlags: &get.HumanPrintFlags{},
	}}
}

func (f *outputFlags) add(cmd *cobra.Command) {
	f.print.AddFlags(cmd)
	// Set after AddFlags, which would offer --show-managed-fields.
	f.print.JSONYamlPrintFlags = genericclioptions.NewJSONYamlPrintFlags()
	cmd.Flags().Lookup("output").Usage = "Output format: " + formatsUsage(f.print.AllowedFormats())
}

// addTemplate adds what goes with formats, where another flag is the output flag itself.
func (f *outputFlags) addTemplate(cmd *cobra.Command) {
	f.print.TemplateFlags.AddFlags(cmd)
	f.print.JSONYamlPrintFlags = genericclioptions.NewJSONYamlPrintFlags()
	cmd.Flags().BoolVar(f.print.NoHeaders, "no-headers", false, "Of the list: no headers")
}

// toOutputAs is toOutput with a format of another flag.
func (f *outputFlags) toOutputAs(format string) (*output, error) {
	*f.print.OutputFormat = format
	return f.toOutput()
}

// allFormats are the formats of lists.
func allFormats() []string {
	f := newOutputFlags()
	f.print.JSONYamlPrintFlags = genericclioptions.NewJSONYamlPrintFlags()
	return f.print.AllowedFormats()
}

func formatsUsage(formats []string) string { return strings.Join(formats, ", ") }

// toOutput returns the output that the flags ask for.
func (f *outputFlags) toOutput() (*output, error) {
	format := *f.print.OutputFormat
	p, err := f.print.ToPrinter()
	if genericclioptions.IsNoCompatiblePrinterError(err) {
		return nil, fmt.Errorf("-o %s: use one of %s", format, formatsUsage(f.print.AllowedFormats()))
	}
	if err != nil {
		return nil, err
	}
	return &output{printer: p, human: format == "" || format == "wide", format: format}, nil
}

// output prints either a table for people or documents for programs.
type output struct {
	printer printers.ResourcePrinter
	format  string
	human   bool
	// tab remembers the columns' widths for the lines of a watch.
	tab *tabwriter.Writer
}

// table prints a table, or more lines of one.
func (o *output) table(w io.Writer, t *metav1.Table) error {
	if o.tab == nil {
		o.tab = printers.GetNewTabWriter(w)
	}
	if err := o.printer.PrintObj(t, o.tab); err != nil {
		return err
	}
	return o.tab.Flush()
}

// list prints documents, as a table where that is wanted.
func (o *output) list(u *ui.UI, kind string, docs []any, table *metav1.Table) error {
	if o.human {
		return o.table(u.Out(), table)
	}
	list := &unstructured.UnstructuredList{Object: map[string]any{"apiVersion": v1alpha1.APIVersion, "kind": kind + "List"}}
	for _, d := range docs {
		x, err := o.object(d)
		if err != nil {
			return err
		}
		list.Items = append(list.Items, *x)
	}
	return o.printer.PrintObj(list, u.Documents())
}

// one prints a single document; table has its one row.
func (o *output) one(u *ui.UI, doc any, table *metav1.Table) error {
	if o.human {
		return o.table(u.Out(), table)
	}
	x, err := o.object(doc)
	if err != nil {
		return err
	}
	return o.printer.PrintObj(x, u.Documents())
}

// object makes a document what kubectl's printers take. By name, a document is the node it tells of, so that
// "-o name" can be piped to kubectl.
func (o *output) object(doc any) (*unstructured.Unstructured, error) {
	data, err := json.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("encoding: %w", err)
	}
	obj, err := runtime.Decode(unstructured.UnstructuredJSONScheme, data)
	if err != nil {
		return nil, fmt.Errorf("encoding: %w", err)
	}
	u, ok := obj.(*unstructured.Unstructured)
	if !ok {
		return nil, fmt.Errorf("encoding: %T isn't a single document", obj)
	}
	if o.format == "name" {
		u.SetAPIVersion("v1")
		u.SetKind("Node")
	}
	return u, nil
}

func writeJSON(w io.Writer, doc any) error {
	data, err := json.MarshalIndent(doc, "", "    ")
	if err != nil {
		return fmt.Errorf("encoding: %w", err)
	}
	_, err = w.Write(append(data, '\n'))
	return err
}
