package controlapi

import "time"

// Brake is what is held back because one device changed so much at once.
type Brake struct {
	Held   []Hold   `json:"held"`    // changes of other devices that this one holds back
	HeldBy []string `json:"held_by"` // names of devices that hold back changes of this one
}

// Hold is one device's changes that are held back.
type Hold struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Files   int       `json:"files"`   // removed or overwritten before the brake took hold
	Waiting uint64    `json:"waiting"` // further changes known of
	Since   time.Time `json:"since"`
}

// ReleaseRequest lets changes pass that are held back: of the device with this name or id, or
// of all. A device releases its own the same way.
type ReleaseRequest struct {
	Device string `json:"device,omitempty"`
}

// ReleaseResult names the devices whose changes were released.
type ReleaseResult struct {
	Released []string `json:"released"`
}
