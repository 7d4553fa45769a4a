package controlapi

import "time"

// HeatRequest asks what is used on this device: POST /v1/heat.
type HeatRequest struct {
	Path string `json:"path"` // at and below it; "": all
}

// Heat is the answer: the hottest first.
type Heat struct {
	Status  *HeatStatus `json:"status"` // null: it is off, and nothing is known
	Files   []HeatItem  `json:"files"`
	Folders []HeatItem  `json:"folders"` // with the sums of the files below
}

// HeatStatus is what is kept because it is used.
type HeatStatus struct {
	Budget int64 `json:"budget_bytes"` // what such files may take of the cache
	Room   int64 `json:"room_bytes"`   // of that, what the cache and the disk leave now
	Files  int64 `json:"files"`
	Bytes  int64 `json:"bytes"` // their sizes
}

// HeatItem is one file or folder. A heat is a count of uses of which half is forgotten in a week.
type HeatItem struct {
	Path      string     `json:"path"`
	Heat      float64    `json:"heat"`      // on this device
	Used      *time.Time `json:"used"`      // last use on this device; null: none
	Kept      string     `json:"kept"`      // "" if it is not kept for that; else why: used here, used on DEVICE
	Placement string     `json:"placement"` // "" for a folder
	Complete  bool       `json:"complete"`  // all of it is here; for a folder, of these files
}
