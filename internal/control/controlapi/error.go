package controlapi

import (
	"errors"
	"fmt"
	"strings"

	"github.com/shelffs/shelf/internal/errs"
)

// Error is an error as it crosses the socket and as `--json` prints it. Message is a
// sentence for a person without a full stop; Hint says what to do next and may be "".
type Error struct {
	Kind    Kind   `json:"kind"`
	Message string `json:"message"`
	Hint    string `json:"hint"`
	cause   error
}

// E makes an Error; format and args make the message.
func E(kind Kind, hint, format string, args ...any) *Error {
	return &Error{Kind: kind, Hint: hint, Message: fmt.Sprintf(format, args...)}
}

// WithHint gives err a hint. Kind and message stay what they are.
func WithHint(err error, hint string) error {
	if err == nil {
		return nil
	}
	e := *FromError(err)
	e.Hint, e.cause = hint, err
	return &e
}

func (e *Error) Error() string { return e.Message }

// Unwrap gives the cause where the error was made in this process, and otherwise an error
// by which errs.KindOf finds the kind.
func (e *Error) Unwrap() error {
	if e.cause != nil {
		return e.cause
	}
	return errs.E("control", e.Kind.Errs(), "", nil)
}

// FromError turns any error into what people and scripts see. An *Error in the chain is
// taken as it is; an error that has a Hint() string method keeps its hint. It is nil for nil.
func FromError(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	e = &Error{Kind: SlugOf(errs.KindOf(err)), Message: Describe(err), cause: err}
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		e.Hint = h.Hint()
	}
	return e
}

// Describe words an error for a person: subjects, kinds and the cause, without the names of
// packages and functions that Error() gives to developers.
func Describe(err error) string {
	var parts []string
	last := errs.Other
	add := func(s string) {
		if s != "" && (len(parts) == 0 || parts[len(parts)-1] != s) {
			parts = append(parts, s)
		}
	}
	for err != nil {
		e, ok := err.(*errs.Error)
		if !ok {
			add(err.Error())
			break
		}
		add(e.Subject)
		if e.Kind != errs.Other && e.Kind != last {
			// The kind of an inner errs.Error that says the same is not repeated.
			add(e.Kind.String())
			last = e.Kind
		}
		err = e.Err
	}
	if len(parts) == 0 {
		return errs.Other.String()
	}
	return strings.Join(parts, ": ")
}
