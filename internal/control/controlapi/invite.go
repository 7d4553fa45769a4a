package controlapi

import "time"

// InviteRequest opens an invitation: POST /v1/invite, answered by a stream of InviteEvent
// and at its end Joined. The invitation lives as long as the request: when the caller
// hangs up, it is cancelled.
type InviteRequest struct {
	TTL  time.Duration `json:"ttl_ns"`
	Auto bool          `json:"auto"` // accept the first asker without a question
}

// InviteEvent is one step; exactly one field is set.
type InviteEvent struct {
	Token  *InviteToken `json:"token,omitempty"`  // first, at once
	Asker  *Asker       `json:"asker,omitempty"`  // answer with POST /v1/invite/answer (unless Auto)
	Failed *InviteFail  `json:"failed,omitempty"` // an attempt that came to nothing; the invitation stays open
}

// InviteToken is an open invitation. Token is a secret until it is used.
type InviteToken struct {
	ID      string    `json:"id"`
	Token   string    `json:"token"`
	Expires time.Time `json:"expires"`
	Addrs   []string  `json:"addrs"` // multiaddrs at which the inviting device listens
}

// Asker is a device that proved to know the token. A person compares Code with what the
// other device shows.
type Asker struct {
	ID   string `json:"id"` // names this question
	Name string `json:"name"`
	Code string `json:"code"`
}

// InviteFail describes an attempt that failed.
type InviteFail struct {
	Message string `json:"message"`
}

// InviteAnswer is the person's decision: POST /v1/invite/answer.
type InviteAnswer struct {
	Invite  string `json:"invite"` // InviteToken.ID
	Asker   string `json:"asker"`  // Asker.ID
	Approve bool   `json:"approve"`
}

// Joined names the device that was admitted.
type Joined struct {
	Device string `json:"device"`
	Name   string `json:"name"`
}
