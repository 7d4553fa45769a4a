package controlapi

import "time"

// Conflicts are the names at or below a path that several versions claim: GET /v1/conflicts.
type Conflicts struct {
	Path      string           `json:"path"`
	Conflicts []NameConflict   `json:"conflicts"` // by path
	Folders   []ConflictFolder `json:"folders"`   // the same, counted by folder
}

// NameConflict is one of them.
type NameConflict struct {
	Path       string            `json:"path"`     // the name that the versions claim
	Versions   []ConflictVersion `json:"versions"` // the first has the name, the others show beside it
	Equal      bool              `json:"equal"`    // all have the same bytes
	Mine       int               `json:"mine"`     // index of the one that `--keep mine` keeps
	Suggestion Suggestion        `json:"suggestion"`
}

// ConflictVersion is one version. No version was made from another one of the conflict: those with
// the same File are of one file that was changed apart, the others are different files that got the
// name apart. Knew and Unaware list other versions by index: what its device had before it, and left
// alone, when it wrote this one, or certainly had not; of the rest it cannot be told.
type ConflictVersion struct {
	Path     string     `json:"path"` // under which it shows
	Kind     string     `json:"kind"`
	Size     int64      `json:"size"`
	Mtime    time.Time  `json:"mtime"`
	Device   DeviceName `json:"device"` // that wrote it last
	Self     bool       `json:"self"`   // this device did
	When     time.Time  `json:"when"`   // it did so, by its clock
	Complete bool       `json:"complete"`
	Newest   bool       `json:"newest"`
	Largest  bool       `json:"largest"`
	Knew     []int      `json:"knew"`
	Unaware  []int      `json:"unaware"`
	File     int        `json:"file"` // index of the first version that is of the same file
}

// Suggestion is what a person might do. It judges by what is known of the versions, not by what
// their bytes mean.
type Suggestion struct {
	Keep   string `json:"keep"` // KeepMine, KeepTheirs or KeepBoth
	Reason string `json:"reason"`
}

// ConflictFolder counts the conflicts of one folder.
type ConflictFolder struct {
	Path    string    `json:"path"`
	Count   int       `json:"count"`
	Devices []string  `json:"devices"` // names of those whose versions show beside the name, sorted
	First   time.Time `json:"first"`   // when the oldest of these versions was written, and the newest
	Last    time.Time `json:"last"`
}

// What to keep.
const (
	KeepMine   = "mine"   // what this device wrote last; if it wrote none, what has the name
	KeepTheirs = "theirs" // the other one
	KeepBoth   = "both"   // all, each as a file of its own under the name it shows
)

// ResolveRequest asks to end conflicts: POST /v1/resolve. A path is the name that is claimed, and
// then all its versions are meant, or that of one beside it, and then this one and the one that
// has the name. With All it may be a folder: all conflicts at and below the path.
type ResolveRequest struct {
	Paths []string `json:"paths"`
	Keep  string   `json:"keep"`
	All   bool     `json:"all"`
}

// ResolveResult has one item for each conflict, in the order of the paths. One that could not be
// ended says so in Refused; the others are ended nevertheless.
type ResolveResult struct {
	Items []ResolveItem `json:"items"`
}

// ResolveItem is what became of one conflict.
type ResolveItem struct {
	Path    string           `json:"path"`
	Kept    []string         `json:"kept"`    // paths under which the kept ones show now
	Dropped []DroppedVersion `json:"dropped"` // they are no longer shown, on any device
	Refused *Refusal         `json:"refused"` // null when it was done
}

// DroppedVersion is a version as it showed before.
type DroppedVersion struct {
	Path   string     `json:"path"`
	Size   int64      `json:"size"`
	Device DeviceName `json:"device"`
	When   time.Time  `json:"when"`
}

// ConflictEvent is what the command on_conflict of the settings reads: new conflicts in one folder.
type ConflictEvent struct {
	Event     string         `json:"event"` // "conflict"
	Summary   string         `json:"summary"`
	Folder    string         `json:"folder"`
	Count     int            `json:"count"`
	Devices   []string       `json:"devices"`
	Mount     string         `json:"mount"`
	Conflicts []NameConflict `json:"conflicts"` // the first ones
}
