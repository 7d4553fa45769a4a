package controlapi

import "time"

// How an old state ended, as in Version.Ended.
const (
	EndedOverwritten = "overwritten" // the file shows other bytes
	EndedRemoved     = "removed"
	EndedReplaced    = "replaced" // something was renamed over it
	EndedMoved       = "moved"
	EndedDecided     = "decided" // a conflict copy was discarded
)

// Versions are what a path shows and showed on this device: GET /v1/versions. Newest first; the
// first has no ID if it is what the path shows now. Of a folder that is there, GET /v1/removed
// gives what was removed from it.
type Versions struct {
	Path     string    `json:"path"`
	Versions []Version `json:"versions"`
}

// Version is one state. From is by the clock of the device that wrote it, Until by this one's.
type Version struct {
	ID         string     `json:"id"`   // "": it shows now
	Path       string     `json:"path"` // where it showed
	Kind       string     `json:"kind"`
	Size       int64      `json:"size"`
	Mtime      time.Time  `json:"mtime"`
	Target     string     `json:"target,omitempty"` // of a symlink
	Writer     string     `json:"writer"`           // name of the device that wrote it; "" where not known
	From       *time.Time `json:"from"`             // null: not known
	Until      *time.Time `json:"until"`            // null: it shows now
	Ended      string     `json:"ended"`            // "" : it shows now
	By         string     `json:"by"`               // name of the device that ended it
	LocalBytes int64      `json:"local_bytes"`      // of the size, on this device
	Complete   bool       `json:"complete"`
}

// RestoreRequest asks for an old state again: POST /v1/restore. Version is an ID of Versions, the
// beginning of one, or a time (VersionTime); "" is the newest one that differs from what shows now.
type RestoreRequest struct {
	Path    string `json:"path"`
	Version string `json:"version"`
	To      string `json:"to"` // "": to Path
}

// UndoRequest asks to take back this device's last change: POST /v1/undo.
type UndoRequest struct {
	Burst  bool `json:"burst"`   // all its changes back to a quiet gap of five seconds
	DryRun bool `json:"dry_run"` // tell only
}

// Restored is what became of each path, in the order in which it was done. Files and Size count
// those that were brought back or, with a dry run, would be.
type Restored struct {
	Files int64          `json:"files"`
	Size  int64          `json:"size"`
	Items []RestoredItem `json:"items"`
	More  bool           `json:"more"` // undo: this device's changes just before belong to the same burst
}

// RestoredItem is one path.
type RestoredItem struct {
	Path    string   `json:"path"`
	Kind    string   `json:"kind"`
	Size    int64    `json:"size"`
	From    string   `json:"from"`    // undo: the path it was moved back from, else ""
	Refused *Refusal `json:"refused"` // null when it was done
}

// VersionTime reads a time that names a version: RFC 3339, or a part of it as people type it, in
// the local zone: 2026-11-20, 2026-11-20T14:00, 2026-11-20 14:00:05, 14:00 (today). A day means its
// beginning.
func VersionTime(s string, now time.Time) (time.Time, bool) {
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t, true
	}
	for _, l := range []string{"2006-01-02", "2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02 15:04:05"} {
		if t, err := time.ParseInLocation(l, s, now.Location()); err == nil {
			return t, true
		}
	}
	for _, l := range []string{"15:04", "15:04:05"} {
		if t, err := time.ParseInLocation(l, s, now.Location()); err == nil {
			y, m, d := now.Date()
			return time.Date(y, m, d, t.Hour(), t.Minute(), t.Second(), 0, now.Location()), true
		}
	}
	return time.Time{}, false
}
