package controlapi

import "time"

// Kinds of node, as in Entry.Kind and PathStatus.Kind.
const (
	KindFile    = "file"
	KindDir     = "dir"
	KindSymlink = "symlink"
	KindFifo    = "fifo"
	KindSocket  = "socket"
	KindChar    = "char"
	KindBlock   = "block"
)

// Placements.
const (
	PlacePinned    = "pinned"    // always here
	PlaceCloud     = "cloud"     // not here
	PlaceAutomatic = "automatic" // kept while it is used
)

// Entry is one name in a folder: GET /v1/list.
type Entry struct {
	Name      string    `json:"name"`
	Kind      string    `json:"kind"`
	Mode      uint32    `json:"mode"` // permission bits, 07777
	UID       uint32    `json:"uid"`
	GID       uint32    `json:"gid"`
	Nlink     uint32    `json:"nlink"`
	Size      int64     `json:"size"`
	Mtime     time.Time `json:"mtime"`
	Target    string    `json:"target,omitempty"` // of a symlink
	Placement string    `json:"placement"`        // in force on this device
	Inherited bool      `json:"inherited"`        // comes from a folder above, or is the default
	*Here               // nil for a folder: its sums are in PathStatus, and take a walk over all that is below
	Conflict  *Conflict `json:"conflict"` // null unless this is a conflict copy
	Heat      float64   `json:"heat"`     // of a file, on this device; see Heat
	Kept      string    `json:"kept"`     // as in HeatItem
}

// Here is how much of a node is on this device.
type Here struct {
	LocalBytes int64 `json:"local_bytes"` // of the size
	Complete   bool  `json:"complete"`    // every byte
}

// PathStatus is one path in full: GET /v1/path. For a folder the sizes are sums over the
// files below it, and a copy is complete when it has all of them.
type PathStatus struct {
	Path       string     `json:"path"` // from the root of the share, begins with "/"
	Kind       string     `json:"kind"`
	Size       int64      `json:"size"`
	Files      int64      `json:"files"` // regular files: 1 for a file, those below for a folder
	Mtime      time.Time  `json:"mtime"`
	LocalBytes int64      `json:"local_bytes"`
	Complete   bool       `json:"complete"`
	Verified   *time.Time `json:"verified_since"` // every block of it that is here has been read since and was whole; null: not all yet
	Placement  string     `json:"placement"`
	Inherited  bool       `json:"inherited"`
	Copies     []Copy     `json:"copies"` // devices known to have bytes of it, this one included
	Conflict   *Conflict  `json:"conflict"`
	Writer     string     `json:"writer"` // name of the device that wrote the newest version
	Why        string     `json:"why"`    // "" when complete here, else what keeps the rest away
	Heat       float64    `json:"heat"`   // of a file, on this device; see Heat
	Kept       string     `json:"kept"`   // as in HeatItem
}

// Copy is one device's part of a file. Complete says that it has every block.
type Copy struct {
	Device    string `json:"device"` // id
	Name      string `json:"name"`
	Self      bool   `json:"self"`
	Connected bool   `json:"connected"`
	Complete  bool   `json:"complete"`
}

// Conflict says that a name is the losing version of a concurrent change.
type Conflict struct {
	Of     string    `json:"of"`     // path of the version that kept the name
	Device string    `json:"device"` // name of the device that wrote this version
	When   time.Time `json:"when"`
}

// Why is the reason that (part of) a path is not here: GET /v1/why. Here is true and
// Reason "" when everything is.
type Why struct {
	Path    string   `json:"path"`
	Here    bool     `json:"here"`
	Reason  string   `json:"reason"`  // one sentence
	Waiting bool     `json:"waiting"` // somebody is waiting for it right now
	Missing int64    `json:"missing_bytes"`
	Heat    float64  `json:"heat"`    // of a file, on this device; see Heat
	Kept    string   `json:"kept"`    // as in HeatItem
	Holders []Copy   `json:"holders"` // devices that have it
	Hints   []string `json:"hints"`   // what a person can do
}
