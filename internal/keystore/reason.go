package keystore

import (
	"errors"

	"github.com/shelffs/shelf/internal/errs"
)

// unavailable is a key that cannot be had now: what is wrong, and what the user can do.
type unavailable struct {
	text, hint string
	err        error // Permission; Corrupt for a damaged file
}

func (e *unavailable) Error() string { return e.text }
func (e *unavailable) Hint() string  { return e.hint }
func (e *unavailable) Unwrap() error { return e.err }

func cannot(text, hint string, cause error) error {
	return &unavailable{text, hint, errs.E("keystore.Unlock", errs.Permission, "", cause)}
}

// lost is a key that nobody has any more, unless the user mends it.
func lost(text, mend string, h dir) error {
	return cannot(text, orElse(mend, h), nil)
}

func orElse(mend string, h dir) string {
	return mend + "; without its key nothing in this home can be read: " +
		"else move " + string(h) + " away (and keep it), and join again from another device: shelf join TOKEN"
}

// badFile is a file of this package that is not what was written.
func badFile(text, hint string, cause error) error {
	return &unavailable{text, hint, errs.E("keystore.Unlock", errs.Corrupt, "", cause)}
}

// badMarker: where the key is in a file, that says all that the marker did.
func (h dir) badMarker(cause error) error {
	hint := orElse("bring it back from a backup", h)
	if _, _, err := h.loadKey(); err == nil {
		hint = "the key itself is there: move " + h.path(markerFile) + " away, and it is made anew"
	}
	return badFile("the file that says where the key of this home is is damaged: "+h.path(markerFile), hint, cause)
}

// reason words why a keyring did not do what it was asked, for the end of a sentence.
func reason(err error) string {
	var own *unavailable
	if errors.As(err, &own) {
		err = own.err
	}
	var last *errs.Error
	for errors.As(err, &last) {
		err = last.Err
	}
	switch {
	case last == nil:
		return err.Error()
	case err != nil:
		return "it refuses: " + err.Error()
	case last.Subject != "":
		return last.Subject
	}
	return "it refuses"
}
