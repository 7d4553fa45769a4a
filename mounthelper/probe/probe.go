// Package probe tells whether this system can mount Shelf, and if not, what is missing
// and the command that installs it. It changes nothing and never touches a mountpoint.
package probe

import "strings"

// Finding is one thing that was looked at.
type Finding struct {
	ID    string `json:"id"`              // stable: "fuse-device", "fusermount", "allow-other" …
	OK    bool   `json:"ok"`              // as it should be
	Fatal bool   `json:"fatal,omitempty"` // without it nothing can be mounted
	What  string `json:"what"`            // what was found, one sentence
	Fix   string `json:"fix,omitempty"`   // the command or the action that mends it; empty when OK
}

// Report is the answer of Run.
type Report struct {
	Findings []Finding `json:"findings"`
}

// Ready reports whether mounting can work: no fatal finding is unmet.
func (r Report) Ready() bool {
	for _, f := range r.Findings {
		if f.Fatal && !f.OK {
			return false
		}
	}
	return true
}

// Advice joins what must be done before mounting can work, one line each; empty when Ready.
func (r Report) Advice() string {
	var b strings.Builder
	for _, f := range r.Findings {
		if f.Fatal && !f.OK {
			if b.Len() > 0 {
				b.WriteByte('\n')
			}
			b.WriteString(f.What)
			if f.Fix != "" {
				b.WriteString("; try: " + f.Fix)
			}
		}
	}
	return b.String()
}

// AllowOther reports whether other users of this system could be let into a mount.
func (r Report) AllowOther() bool {
	for _, f := range r.Findings {
		if f.ID == "allow-other" {
			return f.OK
		}
	}
	return false
}
