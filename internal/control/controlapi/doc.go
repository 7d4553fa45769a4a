// Package controlapi holds what the daemon and its clients say to each other: plain
// structs, their JSON, and the kinds of error. It does nothing else.
//
// The API is HTTP over a local socket. Requests and answers are JSON objects; work that
// takes time answers with a stream of Frames, one JSON object a line. Times are RFC 3339,
// sizes are bytes, durations nanoseconds. Names may be any bytes: Encode and Decode spell them.
// Fields are added, never renamed or dropped.
package controlapi

// Frame is one line of a streamed answer: some with Progress, then one with Result or Error.
type Frame[P, R any] struct {
	Progress *P     `json:"progress,omitempty"`
	Result   *R     `json:"result,omitempty"`
	Error    *Error `json:"error,omitempty"`
}

// Failure is the body of an answer whose HTTP status is not 200, and what commands print on
// standard error with --json.
type Failure struct {
	Error *Error `json:"error"`
}

// Limits of the local API (bytes).
const (
	MaxHeader = 16 << 10
	MaxBody   = 1 << 20
)
