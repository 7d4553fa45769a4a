package cli

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/shelffs/shelf/internal/control/client"
	"github.com/shelffs/shelf/internal/control/controlapi"
)

// foldFrom is from how many conflicts on a folder takes one line.
const foldFrom = 4

func (a *app) conflictsCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "conflicts [PATH]",
		Short: "Files that were changed on several devices at once",
		Long: `List the conflicts at and below PATH (of the whole share if none is given): which device wrote
which version and when, who had seen what, and a suggestion. Where a folder has many, it takes
one line; give its path to see them. PATH is inside the mount, or begins with / at the root
of the share.`,
		Args: argCount(0, 1, ""),
		RunE: a.asking(func(ctx context.Context, c *client.Client, st controlapi.Status, args []string) error {
			p := "/"
			if len(args) > 0 {
				var err error
				if p, err = sharePath(args[0], st.Mount.Path); err != nil {
					return err
				}
			}
			all, err := c.Conflicts(ctx, p)
			if err != nil {
				return err
			}
			return a.emit(fillConflicts(all), func() { a.showConflicts(all) })
		}),
	}
}

// fillConflicts makes empty lists of missing ones.
func fillConflicts(c controlapi.Conflicts) controlapi.Conflicts {
	if c.Conflicts == nil {
		c.Conflicts = []controlapi.NameConflict{}
	}
	if c.Folders == nil {
		c.Folders = []controlapi.ConflictFolder{}
	}
	return c
}

func (a *app) showConflicts(all controlapi.Conflicts) {
	if len(all.Conflicts) == 0 {
		a.say("No conflicts.")
		return
	}
	folded := map[string]bool{}
	for _, f := range all.Folders {
		if f.Count >= foldFrom && f.Path != all.Path {
			folded[f.Path] = true
			a.say("%s", folderLine(f))
			a.say("  %s conflicts %s", a.program(), quoted(f.Path))
		}
	}
	first := len(folded) == 0
	for _, c := range all.Conflicts {
		if folded[path.Dir(c.Path)] {
			continue
		}
		if !first {
			a.say("")
		}
		first = false
		a.showConflict(c)
	}
}

// folderLine says all about a folder with many conflicts: "14 conflicts in /photos/2024, from
// laptop, 2026-11-20".
func folderLine(f controlapi.ConflictFolder) string {
	var names []string
	for _, d := range f.Devices {
		names = append(names, safe(d))
	}
	from, to := f.First.Local().Format("2006-01-02"), f.Last.Local().Format("2006-01-02")
	if to != from {
		from += " to " + to
	}
	what := count(int64(f.Count), "conflict", "conflicts") + " in " + safe(f.Path)
	if len(names) > 0 {
		what += ", from " + list(names)
	}
	return what + ", " + from
}

func (a *app) showConflict(c controlapi.NameConflict) {
	a.say("%s", safe(c.Path))
	rows := [][]string{{"VERSION", "FROM", "WRITTEN", "SIZE", "HERE"}}
	for _, v := range c.Versions {
		from := safe(v.Device.Name)
		if v.Self {
			from += " (this device)"
		}
		here := "all"
		if !v.Complete {
			here = "no"
		}
		bytes := "-"
		if v.Kind == controlapi.KindFile {
			bytes = size(v.Size)
		}
		rows = append(rows, []string{safe(path.Base(v.Path)), from, v.When.Local().Format("2006-01-02 15:04"), bytes, here})
	}
	a.table("  ", rows)
	for _, s := range whoKnew(c) {
		a.say("  %s", safe(s))
	}
	at := quoted(c.Path)
	a.say("  Suggestion: keep %s: %s.\n    %s resolve %s --keep %s", c.Suggestion.Keep, safe(c.Suggestion.Reason), a.program(), at, c.Suggestion.Keep)
}

// whoKnew says what can be told of who had seen what.
func whoKnew(c controlapi.NameConflict) (out []string) {
	if c.Equal {
		out = append(out, "All have the same bytes.")
	}
	name := func(i int) string { return c.Versions[i].Device.Name }
	for i, v := range c.Versions {
		for _, j := range v.Knew {
			if name(i) == name(j) {
				out = append(out, fmt.Sprintf("%s wrote both, this one with the other before it: %s.", name(i), path.Base(v.Path)))
			} else {
				out = append(out, fmt.Sprintf("%s had the version from %s before it when it wrote its own.", name(i), name(j)))
			}
		}
	}
	for j, w := range c.Versions {
		for i, v := range c.Versions[:j] {
			switch {
			case slices.Contains(v.Knew, j) || slices.Contains(w.Knew, i): // is said
			case name(i) == name(j):
				out = append(out, fmt.Sprintf("%s wrote both, neither from the other.", name(i)))
			case v.File == w.File:
				out = append(out, fmt.Sprintf("It was changed on %s and on %s apart: neither started from the other's version.", name(i), name(j)))
			case v.Kind == controlapi.KindDir:
				out = append(out, fmt.Sprintf("The folder and the file from %s got this name apart: neither had been seen where the other got it.", name(j)))
			default:
				out = append(out, fmt.Sprintf("The files from %s and %s got this name apart: neither had been seen where the other got it.", name(i), name(j)))
			}
		}
	}
	return out
}

// quoted is a path as a shell takes it: plain, between quotes, or, where a terminal should not get
// all of it, with the escapes of bash and zsh.
func quoted(p string) string {
	switch {
	case !strings.ContainsFunc(p, func(r rune) bool { return !strings.ContainsRune("/._-+,@%", r) && !isWord(r) }):
		return p
	case safe(p) == p:
		return "'" + quoteInner(p) + "'"
	}
	var b strings.Builder
	for len(p) > 0 {
		_, n := utf8.DecodeRuneInString(p)
		c := p[:n]
		p = p[n:]
		switch {
		case c == `\` || c == "'":
			b.WriteString(`\` + c)
		case safe(c) == c:
			b.WriteString(c)
		default:
			for _, x := range []byte(c) {
				fmt.Fprintf(&b, `\x%02x`, x)
			}
		}
	}
	return "$'" + b.String() + "'"
}

func isWord(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
}
