package controlapi

import "time"

// Quarantine is what other devices sent and this one did not take: GET /v1/quarantine.
type Quarantine struct {
	Refused  []RefusedItem `json:"refused"`   // the newest first, also of earlier runs; not all are kept
	Frozen   []Frozen      `json:"frozen"`    // devices of which nothing further is taken
	FrozenBy []string      `json:"frozen_by"` // names of devices that take nothing further of this one
	Newer    int           `json:"newer"`     // records of a newer version: kept, passed on, not shown
}

// RefusedItem is a record, or a signed batch of records, that failed a check.
type RefusedItem struct {
	When   time.Time `json:"when"`
	From   string    `json:"from"`   // name of the device that sent it
	Writer string    `json:"writer"` // name of the device in whose name it came
	Number uint64    `json:"number"` // of the write, 0 if that cannot be told
	Why    string    `json:"why"`    // in two words, as "batch: signature"
	Size   int64     `json:"size"`
}

// Frozen is a device that has signed something invalid.
type Frozen struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Why     string    `json:"why"`
	Waiting uint64    `json:"waiting"` // writes that are not taken, as far as known
	Since   time.Time `json:"since"`
}
