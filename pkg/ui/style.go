package ui

import (
	"fmt"
	"io"

	"github.com/fatih/color"
	"k8s.io/cli-runtime/pkg/printers"
)

// Color is the value of --color.
type Color string

// The values of --color.
const (
	ColorAuto   Color = "auto"
	ColorAlways Color = "always"
	ColorNever  Color = "never"
)

// String, Set and Type make a Color a flag.
func (c *Color) String() string { return string(*c) }

// Type names the value in help.
func (c *Color) Type() string { return "string" }

// Set takes one of the three values.
func (c *Color) Set(v string) error {
	switch Color(v) {
	case ColorAuto, ColorAlways, ColorNever:
		*c = Color(v)
		return nil
	}
	return fmt.Errorf("must be one of auto, always, never")
}

// on decides for one stream: kubectl's rule looks at the terminal, TERM and NO_COLOR.
func (c Color) on(w io.Writer) bool {
	switch c {
	case ColorAlways:
		return true
	case ColorNever:
		return false
	}
	return printers.AllowsColorOutput(w)
}

// style is how one stream looks. No meaning is carried by colour alone, and none by a glyph without words.
type style struct {
	red, green, yellow, cyan, bold, faint func(string) string

	fail, done, warn, arrow, dot string
}

func newStyle(colour, ascii bool) style {
	paint := func(attrs ...color.Attribute) func(string) string {
		c := color.New(attrs...)
		c.DisableColor()
		if colour {
			c.EnableColor()
		}
		return func(s string) string { return c.Sprint(s) }
	}
	s := style{
		red: paint(color.FgRed), green: paint(color.FgGreen), yellow: paint(color.FgYellow), cyan: paint(color.FgCyan),
		bold: paint(color.Bold), faint: paint(color.Faint),
		fail: "✗", done: "✔", warn: "!", arrow: "→", dot: "·",
	}
	if ascii {
		s.fail, s.done, s.arrow, s.dot = "x", "ok", "->", "-"
	}
	return s
}
