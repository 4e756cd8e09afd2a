package ui

import (
	"context"
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
	fmt.Fprintf(u.err, "%s %s\n", u.errStyle.red("error:"), escape(strings.TrimRight(err.Error(), "\n")))
}

// Say prints a sentence about what happens.
func (u *UI) Say(format string, args ...any) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.erase()
	fmt.Fprintln(u.err, escape(fmt.Sprintf(format, args...)))
}

// Warn prints a sentence that doesn't stop anything.
func (u *UI) Warn(format string, args ...any) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.erase()
	fmt.Fprintf(u.err, "%s %s\n", u.errStyle.yellow("warning:"), escape(fmt.Sprintf(format, args...)))
}

// ErrNobody is returned by Confirm when there is no terminal to ask at.
var ErrNobody = errors.New("standard input and error aren't a terminal")

// Confirm asks and reports whether the answer was "yes", typed in full. While it waits, no progress is drawn.
func (u *UI) Confirm(ctx context.Context, question string) (bool, error) {
	if !u.prompting {
		return false, ErrNobody
	}
	u.mu.Lock()
	u.erase()
	u.asking = true
	fmt.Fprintf(u.err, "%s Type yes: ", clean(question))
	u.mu.Unlock()
	defer func() {
		u.mu.Lock()
		u.asking = false
		u.mu.Unlock()
	}()
	type typed struct {
		line string
		err  error
	}
	// A read from a terminal can't be called off: an interrupt leaves it behind.
	answer := make(chan typed, 1)
	go func() {
		line, err := u.in.ReadString('\n')
		answer <- typed{line, err}
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(u.err)
		return false, context.Cause(ctx)
	case a := <-answer:
		if errors.Is(a.err, io.EOF) {
			fmt.Fprintln(u.err)
		} else if a.err != nil {
			return false, fmt.Errorf("reading the answer: %w", a.err)
		}
		return strings.TrimSpace(a.line) == "yes", nil
	}
}

// CanAsk reports whether somebody sits at a terminal.
func (u *UI) CanAsk() bool { return u.prompting }
