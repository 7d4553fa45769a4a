package config

import "path/filepath"

// Relay is how a relay is to be served.
type Relay struct {
	Dir    string   // where its key lies
	Listen string   // [HOST]:PORT
	Hosts  []string // names or addresses by which devices find it; none: those of this machine
}

// DefaultRelayDir is where a relay's key lies when nobody says otherwise: beside the default home.
func DefaultRelayDir() (string, error) {
	home, err := DefaultHome()
	if err != nil {
		return "", err
	}
	return filepath.Join(filepath.Dir(home), "shelf-relay"), nil
}
