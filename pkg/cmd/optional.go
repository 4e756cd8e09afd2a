package cmd

import "time"

// optionalDuration is a flag whose zero isn't its default.
type optionalDuration struct {
	value time.Duration
	set   bool
}

// Set implements pflag.Value.
func (d *optionalDuration) Set(s string) error {
	value, err := time.ParseDuration(s)
	if err == nil {
		d.value, d.set = value, true
	}
	return err
}

// Type implements pflag.Value.
func (d *optionalDuration) Type() string { return "duration" }

// String implements pflag.Value.
func (d *optionalDuration) String() string {
	if !d.set {
		return ""
	}
	return d.value.String()
}
