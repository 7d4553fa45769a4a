package controlapi

// RankedPeer is another device as the one that fetches blocks sees it: GET /v1/peers, in the order in which
// they would be asked. What has not been measured is null.
type RankedPeer struct {
	Peer
	Rate     *int64   `json:"rate_bytes_per_s"` // what it brings
	P95      *float64 `json:"p95_ms"`           // within which 95 % of the blocks came that somebody waited for
	Hits     *float64 `json:"hit_share"`        // of the answers lately, those that brought the block; 0..1
	Failures float64  `json:"failure_share"`    // of the requests lately, those that broke off or were not answered
	Requests int64    `json:"requests"`         // under way
	InFlight int64    `json:"in_flight_bytes"`
	Silent   bool     `json:"silent"` // it has stopped answering: others are asked first
}
