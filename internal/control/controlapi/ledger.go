package controlapi

import "time"

// LedgerRequest asks which programs brought what to this device: POST /v1/ledger.
type LedgerRequest struct {
	Path    string        `json:"path"`     // at and below it; "": all
	Program string        `json:"program"`  // its name or a pattern with * and ?; "": all
	Since   time.Duration `json:"since_ns"` // what happened within; 0: all that is kept
}

// Ledger is the answer: the runs of programs, the newest first.
type Ledger struct {
	Runs []LedgerRun `json:"runs"`
}

// LedgerRun is what one program brought, or several of its name that one parent started, without
// resting for five minutes. The bytes are of the files, those that were not here before.
type LedgerRun struct {
	Run     uint64         `json:"run"`
	Program string         `json:"program"` // "(unknown)" where the system does not tell
	PID     uint32         `json:"pid"`     // of the first process; 0: not known
	Parent  string         `json:"parent"`  // name of the program that started it; "": not known
	Action  string         `json:"action"`  // of the policy about it: allow, exact, budget, refuse
	Sweep   bool           `json:"sweep"`   // it brought very many files, and no policy is about it
	First   time.Time      `json:"first"`
	Last    time.Time      `json:"last"`
	Files   int64          `json:"files"`
	Read    int64          `json:"read_bytes"`    // waited for
	Ahead   int64          `json:"ahead_bytes"`   // read ahead
	Pinned  int64          `json:"pinned_bytes"`  // by shelf pin
	Refused int64          `json:"refused_reads"` // reads that were refused
	From    []LedgerSource `json:"from"`          // the most first
	Items   []LedgerItem   `json:"items"`
}

// LedgerSource is what one device sent of what was read, read ahead and pinned. Together they may be less than that:
// what came for another reason at the same moment has no source here.
type LedgerSource struct {
	Device string `json:"device"` // id
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"`
}

// LedgerItem is one file of a run; for a pin, what was pinned.
type LedgerItem struct {
	Path   string         `json:"path"` // "" when it is gone
	Read   int64          `json:"read_bytes"`
	Ahead  int64          `json:"ahead_bytes"`
	Pinned int64          `json:"pinned_bytes"`
	From   []LedgerSource `json:"from"`
	First  time.Time      `json:"first"`
	Last   time.Time      `json:"last"`
}

// UndoRunRequest asks to free what a run brought: POST /v1/ledger/undo.
type UndoRunRequest struct {
	Run uint64 `json:"run"`
}

// RunUndone tells what became of it. What is pinned, or kept so that it is not lost, stays.
type RunUndone struct {
	Run         uint64 `json:"run"`
	Program     string `json:"program"`
	Files       int64  `json:"files"` // of which something was freed
	FreedBlocks int64  `json:"freed_blocks"`
	FreedBytes  int64  `json:"freed_bytes"`
	KeptFiles   int64  `json:"kept_files"` // of which something stays
}

// Usage is what files take: GET /v1/usage. The sizes are sums over the files at and below a path; what the
// rest takes to be fetched stands in Fetch.
type Usage struct {
	Path  string      `json:"path"`
	Files int64       `json:"files"`
	Bytes int64       `json:"bytes"`
	Local int64       `json:"local_bytes"` // of Bytes, on this device
	Fetch *UsageFetch `json:"fetch"`       // null: was not asked for
}

// UsageFetch is what reading all of it, one file after the other, would bring.
type UsageFetch struct {
	Files     int64    `json:"files"`      // of which something has to be fetched
	Bytes     int64    `json:"bytes"`      // to be fetched
	AwayFiles int64    `json:"away_files"` // of these, those that no connected device has
	AwayBytes int64    `json:"away_bytes"`
	Seconds   *float64 `json:"seconds"` // an estimate for what connected devices have; null when they have nothing of it
}
