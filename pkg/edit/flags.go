package edit

// Flag is one flag of a command line.
type Flag struct {
	// Name has no dashes; Value is empty for a switch.
	Name, Value string
	// HasValue tells --name=value and --name value from --name.
	HasValue bool
	// Line is where it stands in its file, from 1; 0 on a command line.
	Line int
}

// Flags reads the flags of a kubelet's command line, the program's name left out.
func Flags(args []string) []Flag { return nil }

// LastFlag returns the value of the flag that wins: the last one.
func LastFlag(flags []Flag, name string) (Flag, bool) { return Flag{}, false }
