package cli

import (
	"context"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"github.com/shelffs/shelf/internal/control/client"
	"github.com/shelffs/shelf/internal/control/controlapi"
)

func (a *app) lsCmd() *cobra.Command {
	var long, removed bool
	cmd := &cobra.Command{
		Use:   "ls [PATH]",
		Short: "List a folder with what is here of it",
		Long: `List a folder (the root of the share if none is given): how much of each file is on this
device (shelf status PATH sums up a folder), and its placement (in brackets: inherited; "used": it is
kept because it is used). PATH is inside the mount, or begins with / at the root of the share.
With --removed: what was removed from the folder, which may itself be gone (shelf restore brings it back).`,
		Args: argCount(0, 1, ""),
		RunE: a.asking(func(ctx context.Context, c *client.Client, st controlapi.Status, args []string) error {
			p := "/"
			if len(args) > 0 {
				var err error
				if p, err = sharePath(args[0], st.Mount.Path); err != nil {
					return err
				}
			}
			if removed {
				v, err := c.Removed(ctx, p)
				if err != nil {
					return err
				}
				return a.emit(v, func() { a.showRemoved(v) })
			}
			entries := []controlapi.Entry{}
			err := c.List(ctx, p, func(e controlapi.Entry) error {
				entries = append(entries, e)
				return nil
			})
			if err != nil {
				return err
			}
			return a.emit(lsJSON{p, entries}, func() { a.showList(entries, long) })
		}),
	}
	cmd.Flags().BoolVarP(&long, "long", "l", false, "with heat, mode, size and time")
	cmd.Flags().BoolVar(&removed, "removed", false, "what was removed from it")
	return cmd
}

type lsJSON struct {
	Path    string             `json:"path"`
	Entries []controlapi.Entry `json:"entries"`
}

func (a *app) showList(entries []controlapi.Entry, long bool) {
	if len(entries) == 0 {
		return
	}
	head := []string{"HERE", "PLACEMENT", "NAME"}
	if long {
		head = []string{"HERE", "PLACEMENT", "HEAT", "MODE", "SIZE", "MODIFIED", "NAME"}
	}
	rows := [][]string{head}
	for _, e := range entries {
		place := safe(e.Placement)
		if e.Inherited {
			place = "(" + place + ")"
		}
		if e.Kept != "" {
			place += ", used"
		}
		row := []string{hereOf(e), place}
		if long {
			row = append(row, heatText(e.Heat), modeOf(e), sizeOf(e), e.Mtime.Local().Format("2006-01-02 15:04"))
		}
		rows = append(rows, append(row, nameOf(e)))
	}
	a.table("", rows)
}

// hereOf says how much of an entry is on this device.
func hereOf(e controlapi.Entry) string {
	switch {
	case e.Kind != controlapi.KindFile || e.Here == nil:
		return "-"
	case e.Complete:
		return "all"
	case e.LocalBytes <= 0:
		return "no"
	}
	return percent(min(e.LocalBytes, e.Size-1), e.Size)
}

func sizeOf(e controlapi.Entry) string {
	if e.Kind != controlapi.KindFile {
		return "-"
	}
	return size(e.Size)
}

func nameOf(e controlapi.Entry) string {
	s := safe(e.Name)
	switch {
	case e.Kind == controlapi.KindDir:
		s += "/"
	case e.Kind == controlapi.KindSymlink:
		s += " -> " + safe(e.Target)
	}
	if e.Conflict != nil {
		s += "   (conflict copy from " + safe(e.Conflict.Device) + ")"
	}
	return s
}

// modeOf writes kind and permissions as ls does.
func modeOf(e controlapi.Entry) string {
	m := fs.FileMode(e.Mode & 0o777)
	for bit, f := range map[uint32]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if e.Mode&bit != 0 {
			m |= f
		}
	}
	kind := map[string]string{controlapi.KindDir: "d", controlapi.KindSymlink: "l", controlapi.KindFifo: "p",
		controlapi.KindSocket: "s", controlapi.KindChar: "c", controlapi.KindBlock: "b"}[e.Kind]
	if kind == "" {
		kind = "-"
	}
	perm := m.Perm().String()[1:]
	special := func(at int, f fs.FileMode, c string) {
		if m&f == 0 {
			return
		}
		if perm[at] == '-' {
			c = strings.ToUpper(c)
		}
		perm = perm[:at] + c + perm[at+1:]
	}
	special(2, fs.ModeSetuid, "s")
	special(5, fs.ModeSetgid, "s")
	special(8, fs.ModeSticky, "t")
	return kind + perm
}
