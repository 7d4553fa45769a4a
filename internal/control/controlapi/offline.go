package controlapi

import "time"

// OfflineRequest asks which favourites and recent files would not open without network: POST /v1/offline.
type OfflineRequest struct {
	Fix bool `json:"fix"` // fetch what is missing of them
}

// Why a file is looked at.
const (
	WhyPinned = "pinned" // a person wants it here
	WhyRecent = "recent" // changed within the last 14 days, on whatever device; the newest 500
	WhyOpened = "opened" // parts of it are here, so it was opened here; the newest 500
)

// OfflineProgress is told while files are looked at, and then while blocks move.
type OfflineProgress struct {
	Looked int64 `json:"looked"` // files
	Progress
}

// OfflineResult tells what would not open. Files are the pinned ones, then the others, the newest
// first; at most 10,000, and More that are not listed.
type OfflineResult struct {
	Ready        bool          `json:"ready"` // nothing is missing any more
	Files        []OfflineFile `json:"files"`
	More         int64         `json:"more"`
	MissingBytes int64         `json:"missing_bytes"` // of all, as they are now
	FetchedBytes int64         `json:"fetched_bytes"` // by Fix
	Looked       int64         `json:"looked"`        // files of the share
}

// OfflineFile is one file that was not whole here.
type OfflineFile struct {
	Path    string    `json:"path"`
	Why     string    `json:"reason"`
	Size    int64     `json:"size"`
	Missing int64     `json:"missing_bytes"` // 0: it was fetched
	Mtime   time.Time `json:"mtime"`
	Refused *Refusal  `json:"refused"` // why it could not be fetched; null without Fix
}
