package controlapi

import "time"

// PlaceRequest asks to pin, unpin or free: POST /v1/pin, /v1/unpin, /v1/free. Paths begin
// at the root of the share with "/"; folders mean everything below, for a pin also what
// comes later.
type PlaceRequest struct {
	Paths []string `json:"paths"`
	Wait  bool     `json:"wait"` // pin only: answer when everything is here
}

// Progress is told a few times a second while blocks move. Totals grow until all is known.
type Progress struct {
	Path        string `json:"path,omitempty"` // what is being worked on
	Blocks      int64  `json:"blocks"`
	TotalBlocks int64  `json:"total_blocks"`
	Bytes       int64  `json:"bytes"`
	TotalBytes  int64  `json:"total_bytes"`
}

// PlaceResult has one item per path of the request, in its order. An item that could not be
// done says so in Refused; the others are done nevertheless.
type PlaceResult struct {
	Items []PlaceItem `json:"items"`
}

// PlaceItem is what became of one path.
type PlaceItem struct {
	Path        string   `json:"path"`
	Placement   string   `json:"placement"` // in force now
	Files       int64    `json:"files"`
	Size        int64    `json:"size"`         // of those files, in plain bytes
	MovedBlocks int64    `json:"moved_blocks"` // pin: fetched now; free: dropped now
	MovedBytes  int64    `json:"moved_bytes"`
	KeptBlocks  int64    `json:"kept_blocks"` // free: not dropped
	KeptBytes   int64    `json:"kept_bytes"`
	Complete    bool     `json:"complete"` // every byte is on this device
	Waits       string   `json:"waits"`    // pin: why the rest is not fetched now, in a few words; "": it is, or all is here
	Refused     *Refusal `json:"refused"`  // null when it was done in full
}

// Refusal says why Shelf would not, or could not, do all of what was asked.
type Refusal struct {
	Kind   Kind     `json:"kind"`   // OnlyCopy, Offline, NoSpace, Busy, NotExist …
	Reason string   `json:"reason"` // one sentence
	Paths  []string `json:"paths"`  // the files concerned, at most 20
}

// SyncRequest asks whether, or until, everything done here is durable on at least one other
// device that keeps it: POST /v1/sync.
type SyncRequest struct {
	Wait    bool          `json:"wait"`
	Timeout time.Duration `json:"timeout_ns"` // 0: as long as the caller stays
}

// SyncResult tells how it stands. Synced is true when nothing is pending.
type SyncResult struct {
	Synced  bool     `json:"synced"`
	Pending Pending  `json:"pending"`
	On      []string `json:"on"` // names of the devices that have all of it
}

// MountRequest asks to mount (Path absolute), or, Via webdav, to serve: POST /v1/mount.
type MountRequest struct {
	Path       string `json:"path"`
	Via        string `json:"via"`
	AllowOther bool   `json:"allow_other"` // other users of the system are let in
}

// UnmountRequest asks to unmount: POST /v1/unmount. Without Force a mount in use is Busy, and
// the message says who uses it.
type UnmountRequest struct {
	Force bool `json:"force"`
}

// StopRequest asks to flush, unmount and end the daemon: POST /v1/stop.
type StopRequest struct {
	Force bool `json:"force"`
}

// Recovery tells whether somebody proved to have the recovery phrase: GET /v1/recovery.
type Recovery struct {
	Confirmed   bool       `json:"confirmed"`
	ConfirmedAt *time.Time `json:"confirmed_at"`
}

// ConfirmRequest carries the recovery phrase to be compared: POST /v1/recovery/confirm.
type ConfirmRequest struct {
	Phrase string `json:"phrase"`
}
