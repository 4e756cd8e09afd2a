package ui

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// Error prints why the program ends without having done what was asked.
func (u *UI) Error(err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.erase()
	fmt.Fprintf(u.err, "%s %s\n", u.errStyle.red("error:"), strings.TrimRight(err.Error(), "\n"))
}

// Say prints a sentence about what happens.
func (u *UI) Say(format string, args ...any) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.erase()
	fmt.Fprintf(u.err, format+"\n", args...)
}

// Warn prints a sentence that doesn't stop anything.
func (u *UI) Warn(format string, args ...any) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.erase()
	fmt.Fprintf(u.err, "%s %s\n", u.errStyle.yellow("warning:"), fmt.Sprintf(format, args...))
}

// ErrNobody is returned by Confirm when there is no terminal to ask at.
var ErrNobody = errors.New("standard input and error aren't a terminal")

// Confirm asks and reports whether the answer was "yes", typed in full.
func (u *UI) Confirm(question string) (bool, error) {
	if !u.prompting {
		return false, ErrNobody
	}
	fmt.Fprintf(u.err, "%s Type yes: ", question)
	answer, err := u.in.ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return false, fmt.Errorf("reading the answer: %w", err)
	}
	return strings.TrimSpace(answer) == "yes", nil
}

// CanAsk reports whether somebody sits at a terminal.
func (u *UI) CanAsk() bool { return u.prompting }
