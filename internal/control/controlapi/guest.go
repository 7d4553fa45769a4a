package controlapi

// Background tells what this machine and its network are like, and what waits for them to be another.
type Background struct {
	OnBattery bool      `json:"on_battery"`
	Battery   *int      `json:"battery_percent"` // null: there is none, or it does not say
	Metered   bool      `json:"metered"`         // bytes over the internet cost
	Pressure  string    `json:"pressure"`        // what is short: "", disk, memory, processor
	Waits     []Waiting `json:"waits"`
}

// What waits, as in Waiting.What.
const (
	WaitPins      = "pins"      // Files are not fetched, unless a person waits for them
	WaitFetching  = "fetching"  // Files are fetched slowly
	WaitVerifying = "verifying" // what lies here is not read and compared
)

// Waiting is one kind of work that stands back.
type Waiting struct {
	What   string `json:"what"`
	Files  int64  `json:"files,omitempty"`
	Reason string `json:"reason"` // in a few words
}

// Limits are bytes per second of blocks between devices, by the network that they go over; 0: no limit. GET
// /v1/limits tells those in force, POST /v1/limits puts others in force until the daemon ends.
type Limits struct {
	LANUp        int64 `json:"lan_up"`
	LANDown      int64 `json:"lan_down"`
	InternetUp   int64 `json:"internet_up"`
	InternetDown int64 `json:"internet_down"`
	RelayUp      int64 `json:"relay_up"`
	RelayDown    int64 `json:"relay_down"`
	MeteredUp    int64 `json:"metered_up"` // besides, for all that goes over the internet while that is metered
	MeteredDown  int64 `json:"metered_down"`
}
