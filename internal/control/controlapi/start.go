package controlapi

// StartEvent is one line that a beginning daemon tells the command that started it. Exactly
// one field besides Event is set. After Ready or Error nothing follows.
type StartEvent struct {
	Event    string         `json:"event"` // "phrase", "code", "progress", "ready", "error"
	Phrase   string         `json:"phrase,omitempty"`
	Code     *JoinCode      `json:"code,omitempty"`
	Progress *StartProgress `json:"progress,omitempty"`
	Ready    *Ready         `json:"ready,omitempty"`
	Error    *Error         `json:"error,omitempty"`
}

// JoinCode is what both devices show while the inviting person decides.
type JoinCode struct {
	Code   string `json:"code"`   // six digits
	Device string `json:"device"` // name of the inviting device, "" when not known yet
}

// Stages of a start.
const (
	StageUnlock    = "unlock"    // getting the local master key
	StageConnect   = "connect"   // join: reaching the inviting device
	StageApproval  = "approval"  // join: a person decides over there
	StageNamespace = "namespace" // join: receiving names and sizes
	StageMount     = "mount"
)

// StartProgress says what is being done. Files counts what the namespace has so far.
type StartProgress struct {
	Stage string `json:"stage"`
	Files int64  `json:"files,omitempty"`
}

// Ready says that the daemon answers on its socket and, where asked, has mounted.
type Ready struct {
	PID      int          `json:"pid"`
	Created  bool         `json:"created"` // a new account was made
	Joined   bool         `json:"joined"`  // the invitation was used; the namespace is complete
	Device   DeviceName   `json:"device"`
	Mount    Mount        `json:"mount"`
	Files    int64        `json:"files"`
	Bytes    int64        `json:"bytes"`
	Coming   []ComingFrom `json:"coming"` // as in Status
	Warnings []string     `json:"warnings"`
}

// The five events.
func PhraseEvent(phrase string) StartEvent { return StartEvent{Event: "phrase", Phrase: phrase} }
func CodeEvent(c JoinCode) StartEvent      { return StartEvent{Event: "code", Code: &c} }
func ProgressEvent(p StartProgress) StartEvent {
	return StartEvent{Event: "progress", Progress: &p}
}
func ReadyEvent(r Ready) StartEvent { return StartEvent{Event: "ready", Ready: &r} }

// ErrorEvent tells why the daemon did not start.
func ErrorEvent(err error) StartEvent { return StartEvent{Event: "error", Error: FromError(err)} }
