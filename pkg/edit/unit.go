package edit

import "errors"

// Unit is a parsed systemd unit file or drop-in.
type Unit struct {
	Entries []UnitEntry
}

// UnitEntry is one assignment; continuation lines are joined by a space as systemd does.
type UnitEntry struct {
	Section, Name, Value string
	Line                 int
}

// ParseUnit reads a unit file.
func ParseUnit(content string) (*Unit, error) { return nil, errors.New("not implemented") }

// Values returns the values of that name in that section, in order, those before an empty assignment left out as
// systemd resets the list there.
func (u *Unit) Values(section, name string) []UnitEntry { return nil }

// Environment returns the variables that Environment= lines set, in order.
func (u *Unit) Environment() []EnvVar { return nil }

// SplitWords splits a value into words as systemd does: white space separates, quotes group.
func SplitWords(value string) ([]string, error) { return nil, errors.New("not implemented") }

// UnitSetFlag gives flag the value inside the variable of an Environment= line, see EnvSetFlag. A unit that doesn't set
// the variable is refused: write a drop-in.
func UnitSetFlag(content, variable, flag, value string) ([]Splice, error) {
	return nil, errors.New("not implemented")
}

// UnitRemoveFlag removes every flag of that name from the variable of an Environment= line.
func UnitRemoveFlag(content, variable, flag string) ([]Splice, error) {
	return nil, errors.New("not implemented")
}
