package cli

import "github.com/shelffs/shelf/internal/control/controlapi"

// Exit codes. They are part of the contract (cmd/shelf/CONTRACT.md): append, never renumber.
const (
	ExitOK          = 0
	ExitError       = 1
	ExitUsage       = 2
	ExitNotRunning  = 3
	ExitNotExist    = 4
	ExitRefused     = 5
	ExitOffline     = 6
	ExitTimeout     = 7
	ExitBusy        = 8
	ExitMissing     = 9
	ExitToken       = 10
	ExitHasAccount  = 11
	ExitNoAccount   = 12
	ExitNoSpace     = 13
	ExitCorrupt     = 14
	ExitPermission  = 15
	ExitWrongPhrase = 16
	ExitInterrupt   = 130 // by Ctrl-C
	ExitTerminated  = 143 // by SIGTERM
)

// exitKinds lists for each code the kinds of error that end with it. Every other kind is
// ExitError. The table in CONTRACT.md is compared with it.
var exitKinds = map[int][]controlapi.Kind{
	ExitUsage:       {controlapi.KindUsage, "invalid", "name_too_long"},
	ExitNotRunning:  {controlapi.KindNotRunning},
	ExitNotExist:    {"not_exist", "not_dir", "is_dir", "stale"},
	ExitRefused:     {controlapi.KindOnlyCopy, controlapi.KindDeclined, "refused", "forbidden"},
	ExitOffline:     {"offline"},
	ExitTimeout:     {"timeout"},
	ExitBusy:        {"busy", controlapi.KindRunning, "exist", "not_empty"},
	ExitMissing:     {controlapi.KindMissing},
	ExitToken:       {controlapi.KindToken},
	ExitHasAccount:  {controlapi.KindHasAccount},
	ExitNoAccount:   {controlapi.KindNoAccount},
	ExitNoSpace:     {"no_space"},
	ExitCorrupt:     {"corrupt"},
	ExitPermission:  {"permission"},
	ExitWrongPhrase: {controlapi.KindWrongPhrase},
	ExitInterrupt:   {"interrupted"},
}

// exitCode is the code for a kind of error.
func exitCode(k controlapi.Kind) int {
	for code, kinds := range exitKinds {
		for _, have := range kinds {
			if have == k {
				return code
			}
		}
	}
	return ExitError
}
