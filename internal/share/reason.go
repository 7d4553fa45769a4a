package share

// Reason says why a join did not happen. Every error of a join whose cause is a decision
// (not a broken connection) wraps one: errors.Is(err, share.TokenUsed). The numbers go
// over the wire: append, never renumber.
type Reason uint8

const (
	Unproven     Reason = 1 // a proof did not hold: a typo that kept the checksum, or somebody in the middle
	TokenUnknown Reason = 2 // the inviting device has no such invitation (any more)
	TokenUsed    Reason = 3 // another device has already come in with it
	TokenExpired Reason = 4
	Declined     Reason = 5  // the person at the inviting device said no, or did not answer
	TooMany      Reason = 6  // too many attempts; try again in a minute
	OtherVersion Reason = 7  // the two devices speak different versions of the protocol
	NotInviter   Reason = 8  // the device that answered is not the one that made the invitation
	Malformed    Reason = 9  // a message made no sense
	Failed       Reason = 10 // the other side could not do its part: its disk may be full
)

func (r Reason) Error() string {
	switch r {
	case Unproven:
		return "the other side could not prove that it knows this invitation"
	case TokenUnknown:
		return "the inviting device does not know this invitation: make a new one there with 'shelf invite'"
	case TokenUsed:
		return "this invitation has already been used: make a new one with 'shelf invite'"
	case TokenExpired:
		return "this invitation has expired: make a new one with 'shelf invite'"
	case Declined:
		return "the person at the inviting device did not approve"
	case TooMany:
		return "too many attempts: wait a minute and try again"
	case OtherVersion:
		return "the other device runs another version of Shelf: upgrade the older one"
	case NotInviter:
		return "the device that answered is not the one that made this invitation"
	case Malformed:
		return "the other side sent something that makes no sense"
	case Failed:
		return "the inviting device could not do its part: look at its messages, its disk may be full"
	}
	return "refused for a reason that this version does not know"
}
