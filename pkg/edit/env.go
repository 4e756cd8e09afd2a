package edit

import "errors"

// Env is a parsed environment file as systemd's EnvironmentFile= reads it.
type Env struct {
	// Vars are the assignments in file order; of two of one name the last wins.
	Vars []EnvVar
}

// EnvVar is one assignment.
type EnvVar struct {
	Name, Value string
	Line        int
}

// ParseEnv reads an environment file.
func ParseEnv(content string) (*Env, error) { return nil, errors.New("not implemented") }

// Get returns the assignment of name that wins.
func (e *Env) Get(name string) (EnvVar, bool) { return EnvVar{}, false }

// EnvSetFlag gives flag (without dashes) the value inside variable: it replaces the last --flag=value or --flag value, drops earlier ones, or
// appends --flag=value, or adds the variable.
func EnvSetFlag(content, variable, flag, value string) ([]Splice, error) {
	return nil, errors.New("not implemented")
}

// EnvRemoveFlag removes every flag of that name from variable; one that isn't there needs no splice.
func EnvRemoveFlag(content, variable, flag string) ([]Splice, error) {
	return nil, errors.New("not implemented")
}
