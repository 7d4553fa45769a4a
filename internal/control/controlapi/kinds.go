package controlapi

import "github.com/shelffs/shelf/internal/errs"

// Kind is an error's kind as scripts see it: a stable word. Most are the kinds of package
// errs; the rest belong to the control API and the command line.
type Kind string

const (
	KindOther       Kind = "error"
	KindUsage       Kind = "usage"        // wrong arguments
	KindNotRunning  Kind = "not_running"  // no daemon of this home
	KindRunning     Kind = "running"      // another daemon holds this home
	KindNoAccount   Kind = "no_account"   // this home has no account yet
	KindHasAccount  Kind = "has_account"  // this home has one already, and it is in use
	KindMissing     Kind = "missing"      // something has to be installed
	KindToken       Kind = "token"        // invitation wrong, used, expired, cancelled or declined
	KindOnlyCopy    Kind = "only_copy"    // no other device surely holds it
	KindDeclined    Kind = "declined"     // a person said no
	KindWrongPhrase Kind = "wrong_phrase" // not this account's recovery phrase
)

// slugs gives each errs.Kind its word. The index is the kind's number.
var slugs = [...]Kind{
	errs.Other: KindOther, errs.NotExist: "not_exist", errs.Exist: "exist", errs.Permission: "permission",
	errs.Forbidden: "forbidden", errs.Invalid: "invalid", errs.NotDir: "not_dir", errs.IsDir: "is_dir",
	errs.NotEmpty: "not_empty", errs.NameTooLong: "name_too_long", errs.NoSpace: "no_space", errs.TooLarge: "too_large",
	errs.ReadOnly: "read_only", errs.Busy: "busy", errs.Closed: "closed", errs.Interrupted: "interrupted",
	errs.Timeout: "timeout", errs.Offline: "offline", errs.Corrupt: "corrupt", errs.Unsupported: "unsupported",
	errs.NoAttr: "no_attr", errs.Range: "range", errs.Loop: "loop", errs.Stale: "stale", errs.Protocol: "protocol",
	errs.Refused: "refused", errs.Exhausted: "exhausted", errs.TooManyLink: "too_many_links",
	errs.Withheld: "withheld",
}

// SlugOf is the word for a kind of package errs.
func SlugOf(k errs.Kind) Kind {
	if int(k) < len(slugs) && slugs[k] != "" {
		return slugs[k]
	}
	return KindOther
}

// Errs is the nearest kind of package errs.
func (k Kind) Errs() errs.Kind {
	switch k {
	case KindUsage, KindToken, KindWrongPhrase:
		return errs.Invalid
	case KindNotRunning:
		return errs.Closed
	case KindRunning:
		return errs.Busy
	case KindNoAccount:
		return errs.NotExist
	case KindHasAccount:
		return errs.Exist
	case KindMissing:
		return errs.Unsupported
	case KindOnlyCopy, KindDeclined:
		return errs.Refused
	}
	for n, s := range slugs {
		if s == k {
			return errs.Kind(n)
		}
	}
	return errs.Other
}
