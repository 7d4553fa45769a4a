package controlapi

// Relay is a relay at which this device waits for others that cannot reach it directly: GET /v1/relays.
type Relay struct {
	Place   string `json:"place"` // HOST:PORT
	ID      string `json:"id"`
	Waiting bool   `json:"waiting"`          // it can be reached through it now
	Reason  string `json:"reason,omitempty"` // why not
}

// UseRelayRequest has this device wait at a relay from now on: POST /v1/relays/use, which returns a Relay.
type UseRelayRequest struct {
	Address string `json:"address"` // shelf-relay://…
}

// LeaveRelayRequest ends that: POST /v1/relays/leave.
type LeaveRelayRequest struct {
	Relay string `json:"relay"` // its place, its id or its address
}
