package controlapi

import "time"

// Status is one device as a whole: GET /v1/status, `shelf status --json`.
type Status struct {
	Daemon      DaemonInfo       `json:"daemon"`
	Account     Account          `json:"account"`
	Device      DeviceName       `json:"device"`
	Mount       Mount            `json:"mount"` // empty strings when nothing is mounted
	Cache       Cache            `json:"cache"`
	Heat        *HeatStatus      `json:"heat"` // what is kept because it is used; null: that is off
	Scrub       Scrub            `json:"scrub"`
	Peers       []Peer           `json:"peers"` // the account's other devices, by name
	Files       int64            `json:"files"` // regular files in the namespace
	Bytes       int64            `json:"bytes"` // their sizes summed
	Pending     Pending          `json:"pending"`
	Transferred Transferred      `json:"transferred"`
	Conflicts   int64            `json:"conflicts"` // names that several versions claim
	Background  Background       `json:"background"`
	Coming      []ComingFrom     `json:"coming"`   // whose names and sizes are not all here yet
	Restored    []RestoredDevice `json:"restored"` // within the last week
	Twice       []TwiceDevice    `json:"twice"`    // two machines run them now
	Lost        []LostFile       `json:"lost"`     // parts of which no device has any more
	Warnings    []string         `json:"warnings"` // whole sentences for a person, worst first
}

// DaemonInfo names the process that answers.
type DaemonInfo struct {
	PID     int       `json:"pid"`
	Version string    `json:"version"`
	Started time.Time `json:"started"`
}

// Account is the account that this device belongs to.
type Account struct {
	ID                string `json:"id"`
	Devices           int    `json:"devices"`            // this one included
	RecoveryConfirmed bool   `json:"recovery_confirmed"` // somebody proved to have written the phrase down
}

// DeviceName names a device.
type DeviceName struct {
	ID   string `json:"id"` // ident.DeviceID in text
	Name string `json:"name"`
}

// ComingFrom is a device that knows of files that this one has yet to hear of.
type ComingFrom struct {
	DeviceName
	Connected bool `json:"connected"` // else they come when it is
}

// TwiceDevice is one that two machines, or two copies of a home, run at the same time.
type TwiceDevice struct {
	DeviceName
	Self bool `json:"self"`
}

// LostFile is a file of which the only copy of a part was damaged.
type LostFile struct {
	Path   string `json:"path"`
	Blocks int64  `json:"blocks"`
}

// RestoredDevice is one whose home was put back from a backup or an image, or copied.
type RestoredDevice struct {
	DeviceName
	Self    bool      `json:"self"`
	Noticed time.Time `json:"noticed"` // by the device that tells
}

// Mount is where the namespace is shown. Path is absolute. Without a mount it is "", and so is
// Adapter, unless the namespace is served at URL.
type Mount struct {
	Path    string `json:"path"`
	Adapter string `json:"adapter"`       // "fuse" or "webdav"
	URL     string `json:"url,omitempty"` // of "webdav"
	Others  bool   `json:"allow_other,omitempty"`
}

// Cache is what lies on this device, in bytes as stored. The classes do not overlap.
type Cache struct {
	Limit   int64 `json:"limit_bytes"`
	Quota   int64 `json:"pin_quota_bytes"` // how much of it pins may take, with what is kept for other devices
	Used    int64 `json:"used_bytes"`
	Pinned  int64 `json:"pinned_bytes"`  // kept because a placement says so
	Staged  int64 `json:"staged_bytes"`  // written here, not yet surely on another device
	Fetched int64 `json:"fetched_bytes"` // may be evicted at any time
	History int64 `json:"history_bytes"` // of old states only; evicted when nothing fetched is left
}

// Scrub tells how the blocks on this device are verified, over and over.
type Scrub struct {
	Verified *time.Time `json:"verified_since"`  // all that was here then has been read since and was whole; null: not all yet
	Begun    *time.Time `json:"round_begun"`     // null before the first
	Done     float64    `json:"round_done"`      // 0 to 1
	Damaged  int64      `json:"damaged_blocks"`  // found since the daemon began, by the scrub or by a reader
	Repaired int64      `json:"repaired_blocks"` // of them, those that are here again
}

// Peer is another device of the account as this one sees it.
type Peer struct {
	ID        string     `json:"id"`
	Name      string     `json:"name"`
	Connected bool       `json:"connected"`
	Path      string     `json:"path"`      // loopback, lan, direct, relay; "" when not connected
	RTT       *float64   `json:"rtt_ms"`    // null when not known
	LastSeen  *time.Time `json:"last_seen"` // null when never
}

// Pending is what was done here and is not yet durable on another device that keeps it.
type Pending struct {
	Records int64 `json:"records"`
	Blocks  int64 `json:"blocks"`
	Bytes   int64 `json:"bytes"`
}

// Zero reports whether nothing is pending.
func (p Pending) Zero() bool { return p == Pending{} }

// Transferred counts content blocks that crossed the network since the daemon began.
type Transferred struct {
	BlocksIn  int64 `json:"blocks_in"`
	BytesIn   int64 `json:"bytes_in"`
	BlocksOut int64 `json:"blocks_out"`
	BytesOut  int64 `json:"bytes_out"`
}

// Device is one device of the account: GET /v1/devices.
type Device struct {
	Peer
	Self     bool      `json:"self"`     // this device; it counts as connected
	Admitted time.Time `json:"admitted"` // when the account log admitted it
	// ClockSkew is how far its clock was ahead of this device's when it last connected, in
	// milliseconds; null when not known, or too little to tell from the way between them.
	ClockSkew *int64 `json:"clock_skew_ms"`
	// Frozen: it signed invalid records, and nothing further is taken of it here; on the device
	// itself, by some other.
	Frozen bool `json:"frozen"`
	// Restored is when its home was noticed to have been put back from a backup, or copied, within
	// the last week; else null.
	Restored *time.Time `json:"restored"`
	// Twice: two machines, or two copies of its home, run it at the same time.
	Twice bool `json:"twice"`
}
