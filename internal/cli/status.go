package cli

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/shelffs/shelf/internal/control/client"
	"github.com/shelffs/shelf/internal/control/controlapi"
)

func (a *app) statusCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "status [PATH]",
		Short: "How this device stands, or one file or folder",
		Long: `Without PATH: mount, cache, what is not yet on another device, and the other devices.
With PATH: how much of it is here, its placement, and which devices have it. PATH is inside
the mount, or begins with / at the root of the share.`,
		Args: argCount(0, 1, ""),
		RunE: a.asking(func(ctx context.Context, c *client.Client, st controlapi.Status, args []string) error {
			if len(args) == 0 {
				return a.emit(fillStatus(st), func() { a.showStatus(st) })
			}
			p, err := sharePath(args[0], st.Mount.Path)
			if err != nil {
				return err
			}
			ps, err := c.PathStatus(ctx, p)
			if err != nil {
				return err
			}
			if ps.Copies == nil {
				ps.Copies = []controlapi.Copy{}
			}
			return a.emit(ps, func() { a.showPath(ps) })
		}),
	}
}

// fillStatus makes empty lists of missing ones: scripts iterate over them.
func fillStatus(st controlapi.Status) controlapi.Status {
	if st.Peers == nil {
		st.Peers = []controlapi.Peer{}
	}
	if st.Background.Waits == nil {
		st.Background.Waits = []controlapi.Waiting{}
	}
	if st.Coming == nil {
		st.Coming = []controlapi.ComingFrom{}
	}
	if st.Twice == nil {
		st.Twice = []controlapi.TwiceDevice{}
	}
	if st.Lost == nil {
		st.Lost = []controlapi.LostFile{}
	}
	if st.Restored == nil {
		st.Restored = []controlapi.RestoredDevice{}
	}
	if st.Warnings == nil {
		st.Warnings = []string{}
	}
	return st
}

func (a *app) showStatus(st controlapi.Status) {
	up := ""
	if !st.Daemon.Started.IsZero() {
		up = "up " + span(time.Since(st.Daemon.Started)) + ", "
	}
	a.say("%s  (%sversion %s, process %d)\n", safe(st.Device.Name), up, safe(st.Daemon.Version), st.Daemon.PID)
	mount := "not mounted (" + a.program() + " up)"
	if st.Mount.Path != "" {
		mount = safe(st.Mount.Path) + "  (" + safe(st.Mount.Adapter) + ")"
	}
	if st.Mount.URL != "" {
		mount = safe(st.Mount.URL) + "  (" + safe(st.Mount.Adapter) + "; user and password: " + a.home.WebDAVFile() + ")"
	}
	cache := fmt.Sprintf("%s of %s", size(st.Cache.Used), size(st.Cache.Limit))
	if st.Cache.Used > 0 {
		cache += fmt.Sprintf(": %s pinned (of %s), %s only here so far, %s evictable",
			size(st.Cache.Pinned), size(st.Cache.Quota), size(st.Cache.Staged), size(st.Cache.Fetched))
		if st.Cache.History > 0 {
			cache += ", " + size(st.Cache.History) + " history"
		}
	}
	pending := "nothing: all changes are on another device too"
	if p := st.Pending; !p.Zero() {
		pending = fmt.Sprintf("%s and %s (%s) are not on another device yet",
			count(p.Records, "change", "changes"), blocks(p.Blocks), size(p.Bytes))
	} else if len(st.Peers) == 0 {
		pending = "nothing"
	}
	t := st.Transferred
	rows := [][]string{
		{"mount", mount},
		{"contents", files(st.Files) + ", " + size(st.Bytes) + coming(st.Coming)},
		{"cache", cache},
		{"in use", inUse(st.Heat)},
		{"verified", verified(st.Scrub, st.Background.Waits)},
		{"pending", pending},
		{"received", blocks(t.BlocksIn) + ", " + size(t.BytesIn) + " since the start"},
		{"sent", blocks(t.BlocksOut) + ", " + size(t.BytesOut)},
	}
	for _, w := range st.Background.Waits {
		if w.What != controlapi.WaitVerifying { // told above
			rows = append(rows, []string{"waits", waits(w)})
		}
	}
	a.table("", rows)
	notes := slices.Clone(st.Warnings)
	if !st.Account.RecoveryConfirmed {
		notes = append(notes, "the recovery phrase was not confirmed ("+a.program()+" recovery confirm)")
	}
	if st.Conflicts > 0 {
		notes = append(notes, count(st.Conflicts, "file was", "files were")+" changed on several devices at once ("+a.program()+" conflicts)")
	}
	if len(notes) > 0 {
		a.say("")
	}
	for _, w := range notes {
		a.say("Note: %s", safe(sentence(w)))
	}
	if len(st.Peers) == 0 {
		a.say("\nThis is the only device. To add one:  %s invite", a.program())
		return
	}
	a.say("")
	rows = [][]string{{"DEVICE", "ID", "STATE", "PATH", "ROUND TRIP"}}
	for _, p := range st.Peers {
		rows = append(rows, peerRow(p))
	}
	a.table("", rows)
}

// coming says whose names are not all here yet, for the end of a sentence.
func coming(from []controlapi.ComingFrom) string {
	var here, away []string
	for _, d := range from {
		if d.Connected {
			here = append(here, safe(d.Name))
		} else {
			away = append(away, safe(d.Name))
		}
	}
	text := ""
	if len(here) > 0 {
		text += "; names are still coming from " + list(here)
	}
	if len(away) > 0 {
		text += "; more names come when " + list(away) + " can be reached"
	}
	return text
}

// waits tells what work in the background stands back, and why.
func waits(w controlapi.Waiting) string {
	what := safe(w.What)
	switch w.What {
	case controlapi.WaitPins:
		what = count(w.Files, "pinned file waits", "pinned files wait") + " (shelf pin PATH fetches it at once)"
	case controlapi.WaitFetching:
		what = files(w.Files) + " fetched slowly"
	}
	return safe(w.Reason) + ": " + what
}

// verified tells when what lies here was last read and compared.
func verified(s controlapi.Scrub, waits []controlapi.Waiting) string {
	text := "not yet"
	switch {
	case s.Verified != nil:
		text = "all of it within the last " + span(time.Since(*s.Verified))
	case s.Begun != nil:
		text = fmt.Sprintf("%d %% so far", int(100*s.Done))
	}
	for _, w := range waits {
		if w.What == controlapi.WaitVerifying {
			text += "; waits, " + safe(w.Reason)
		}
	}
	if s.Damaged > 0 {
		text += fmt.Sprintf("; %s damaged, %d of them fetched again", blocks(s.Damaged), s.Repaired)
	}
	return text
}

func peerRow(p controlapi.Peer) []string {
	state, rtt := "connected", ""
	switch {
	case p.Connected && p.RTT != nil:
		rtt = span(time.Duration(*p.RTT * 1e6))
	case p.Connected:
	case p.LastSeen != nil:
		state = "seen " + span(time.Since(*p.LastSeen)) + " ago"
	default:
		state = "never seen"
	}
	return []string{safe(p.Name), short(p.ID), state, safe(p.Path), rtt}
}

// short is the part of an id by which a person tells own devices apart.
func short(id string) string { return safe(id[:min(7, len(id))]) }

func (a *app) showPath(p controlapi.PathStatus) {
	what := p.Kind
	switch p.Kind {
	case controlapi.KindDir:
		what = "folder, " + files(p.Files) + ", " + size(p.Size)
	case controlapi.KindFile:
		what = "file, " + size(p.Size)
	}
	a.say("%s  (%s)\n", safe(p.Path), what)
	here := "all of it"
	if !p.Complete {
		here = fmt.Sprintf("%s of %s (%s)", size(p.LocalBytes), size(p.Size), percent(min(p.LocalBytes, p.Size-1), p.Size))
	}
	rows := [][]string{{"here", here}, {"placement", placement(p.Placement, p.Inherited)}}
	if p.Kept != "" {
		rows = append(rows, []string{"kept", "because it is " + keptText(p.Kept, p.Heat)})
	}
	if p.Verified != nil {
		rows = append(rows, []string{"verified", "all that is here within the last " + span(time.Since(*p.Verified))})
	}
	for i, c := range p.Copies {
		label := ""
		if i == 0 {
			label = "copies"
		}
		rows = append(rows, []string{label, copyText(c)})
	}
	if len(p.Copies) == 0 {
		rows = append(rows, []string{"copies", "none known"})
	}
	if p.Writer != "" {
		rows = append(rows, []string{"written by", safe(p.Writer) + ", " + p.Mtime.Local().Format("2006-01-02 15:04:05")})
	}
	if c := p.Conflict; c != nil {
		rows = append(rows, []string{"conflict", fmt.Sprintf("with %s: this version is from %s, %s",
			safe(c.Of), safe(c.Device), c.When.Local().Format("2006-01-02 15:04"))})
	}
	if p.Why != "" {
		rows = append(rows, []string{"why", safe(p.Why)})
	}
	a.table("", rows)
}

func copyText(c controlapi.Copy) string {
	s := safe(c.Name)
	if c.Self {
		s += " (this device)"
	}
	if !c.Complete {
		s += ", in part"
	}
	if !c.Self && !c.Connected {
		s += ", not connected"
	}
	return s
}

func placement(p string, inherited bool) string {
	text := map[string]string{
		controlapi.PlacePinned:    "pinned: always here",
		controlapi.PlaceCloud:     "cloud: not kept here",
		controlapi.PlaceAutomatic: "automatic: kept here while it is used",
	}[p]
	if text == "" {
		text = safe(p)
	}
	if inherited && p != controlapi.PlaceAutomatic {
		text += " (from a folder above)"
	}
	return text
}
