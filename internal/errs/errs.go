// Package errs gives every error of Shelf a kind, an operation and a subject.
//
// A Kind says what went wrong in words that a caller can act on; the numbers are
// stable, because peers send them to each other. The one table that maps kinds to
// errno is in package fs. Nothing in Shelf matches the text of an error.
package errs

import (
	"context"
	"errors"
	"strings"
)

// Kind classifies an error. The numbers go over the wire: append, never renumber.
type Kind uint8

const (
	Other       Kind = 0  // not classified
	NotExist    Kind = 1  // no such file, block, device …
	Exist       Kind = 2  // already there
	Permission  Kind = 3  // the mode bits or the owner forbid it
	Forbidden   Kind = 4  // not allowed whoever asks (EPERM)
	Invalid     Kind = 5  // the request makes no sense
	NotDir      Kind = 6  // a directory was needed
	IsDir       Kind = 7  // a directory cannot be used here
	NotEmpty    Kind = 8  // the directory has entries
	NameTooLong Kind = 9  // over 255 bytes, or the path over 4096
	NoSpace     Kind = 10 // the disk or the cache is full
	TooLarge    Kind = 11 // over a format's or a file's limit
	ReadOnly    Kind = 12 // this view cannot be written
	Busy        Kind = 13 // in use by somebody else
	Closed      Kind = 14 // the handle, store or daemon is closed
	Interrupted Kind = 15 // the caller gave up
	Timeout     Kind = 16 // a deadline passed while somebody was answering
	Offline     Kind = 17 // no device that has it can be reached
	Corrupt     Kind = 18 // a check failed: digest, seal, signature, sum
	Unsupported Kind = 19 // not available here
	NoAttr      Kind = 20 // no such extended attribute
	Range       Kind = 21 // a result does not fit the buffer offered
	Loop        Kind = 22 // a directory would contain itself
	Stale       Kind = 23 // what the handle named has gone
	Protocol    Kind = 24 // a peer broke the protocol
	Refused     Kind = 25 // the peer is not a member, or the token is not valid
	Exhausted   Kind = 26 // a limit on work in progress was reached; try again
	TooManyLink Kind = 27 // link count at its limit
	Withheld    Kind = 28 // this device's owner does not let the program bring it here
)

var kindNames = [...]string{
	"error", "does not exist", "already exists", "permission denied", "not permitted", "invalid",
	"not a directory", "is a directory", "directory not empty", "name too long", "no space left",
	"too large", "read-only", "busy", "closed", "interrupted", "timed out", "no device that has it can be reached",
	"corrupt", "not supported", "no such attribute", "out of range", "would contain itself", "stale",
	"protocol error", "refused", "limit reached", "too many links", "withheld from this program",
}

func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "unknown kind"
}

// Error is an error with its context. Subject is what the user would recognise (a path,
// a short digest, a device name) and may be empty.
type Error struct {
	Op      string // package and verb: "cache.Stage"
	Subject string
	Kind    Kind
	Err     error // cause, may be nil
}

// E makes an Error. A nil cause is allowed; with Kind Other the cause's own kind shows through KindOf.
func E(op string, kind Kind, subject string, cause error) error {
	return &Error{Op: op, Subject: subject, Kind: kind, Err: cause}
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Subject != "" {
		b.WriteString(" " + e.Subject)
	}
	if e.Kind != Other {
		b.WriteString(": " + e.Kind.String())
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the outermost kind that is not Other in err's chain; a cancelled
// context is Interrupted and an expired one Timeout. It is Other for nil and for
// errors of foreign packages.
func KindOf(err error) Kind {
	for e := err; e != nil; {
		se, ok := e.(*Error) // nearly always
		if !ok {
			if se = wrapped(e); se == nil {
				break
			}
		}
		if se.Kind != Other {
			return se.Kind
		}
		e = se.Err
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return Timeout
	case errors.Is(err, context.Canceled):
		return Interrupted
	}
	return Other
}

// wrapped finds the first Error that a foreign one holds, nil if there is none.
func wrapped(err error) (e *Error) {
	errors.As(err, &e)
	return e
}

// Is reports whether err has the given kind.
func Is(err error, k Kind) bool { return err != nil && KindOf(err) == k }
