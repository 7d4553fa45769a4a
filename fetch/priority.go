package fetch

// Priority says how urgently a block is wanted; a lower number is more urgent. The
// numbers go over the wire (package exchange): append, never renumber.
type Priority uint8

const (
	OnDemand   Priority = 0 // somebody waits in a system call
	ReadAhead  Priority = 1 // a sequential reader will want it within a moment
	Pin        Priority = 2 // a person asked to keep it here
	Safety     Priority = 3 // another copy, so that nothing hangs on one device
	Background Priority = 4 // everything else
)

const priorities = 5

var priorityNames = [priorities]string{"on demand", "read ahead", "pin", "safety", "background"}

func (p Priority) String() string {
	if p < priorities {
		return priorityNames[p]
	}
	return "unknown priority"
}

// Urgent reports whether somebody waits: such a block has a budget and a deadline of its own.
func (p Priority) Urgent() bool { return p == OnDemand }

func (p Priority) clamp() Priority { return min(p, Background) }
