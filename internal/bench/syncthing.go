//go:build linux

package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/template"
)

// syncthing is two instances of Syncthing that know each other; one has a folder, the other gets it.
type syncthing struct {
	ends     *ends
	from, to *syncthingNode
}

type syncthingNode struct {
	Home, ID, Folder, Type, Key string
	GUI, Port                   int
	Paused                      bool // the folder, until it is resumed
	Peer                        *syncthingNode

	process *process
}

const syncthingConfig = `<configuration version="36">
  <folder id="tree" path="{{.Folder}}" type="{{.Type}}" rescanIntervalS="0" fsWatcherEnabled="false">
    <device id="{{.ID}}"></device><device id="{{.Peer.ID}}"></device>
    <paused>{{.Paused}}</paused>
    <minDiskFree unit="%">0</minDiskFree>
  </folder>
  {{range .Both}}<device id="{{.ID}}"><address>tcp://127.0.0.1:{{.Port}}</address></device>
  {{end}}<gui enabled="true" tls="false"><address>127.0.0.1:{{.GUI}}</address><apikey>{{.Key}}</apikey></gui>
  <options>
    <listenAddress>tcp://127.0.0.1:{{.Port}}</listenAddress>
    <globalAnnounceEnabled>false</globalAnnounceEnabled>
    <localAnnounceEnabled>false</localAnnounceEnabled>
    <relaysEnabled>false</relaysEnabled>
    <natEnabled>false</natEnabled>
    <stunServer></stunServer>
    <stunKeepaliveStartS>0</stunKeepaliveStartS>
    <reconnectionIntervalS>1</reconnectionIntervalS>
    <startBrowser>false</startBrowser>
    <urAccepted>-1</urAccepted>
    <autoUpgradeIntervalH>0</autoUpgradeIntervalH>
    <crashReportingEnabled>false</crashReportingEnabled>
    <setLowPriority>false</setLowPriority>
  </options>
</configuration>
`

// Both are the two devices of the configuration.
func (n *syncthingNode) Both() []*syncthingNode { return []*syncthingNode{n, n.Peer} }

// newSyncthing starts the instance that has folder, and returns when it knows all of it.
func newSyncthing(e *ends, base, folder string) (*syncthing, error) {
	s := &syncthing{
		ends: e,
		from: &syncthingNode{Home: filepath.Join(base, "from"), Folder: folder, Type: "sendonly"},
		to:   &syncthingNode{Home: filepath.Join(base, "to"), Folder: filepath.Join(base, treeName), Type: "receiveonly", Paused: true},
	}
	s.from.Peer, s.to.Peer = s.to, s.from
	for _, n := range s.from.Both() {
		out, err := exec.Command("syncthing", "generate", "--home", n.Home, "--no-default-folder", "--skip-port-probing").CombinedOutput()
		if err != nil {
			return nil, fmt.Errorf("syncthing generate: %w\n%s", err, out)
		}
		_, id, _ := strings.Cut(string(out), "Device ID: ")
		if n.ID, _, _ = strings.Cut(id, "\n"); n.ID == "" {
			return nil, fmt.Errorf("syncthing generate says no device ID:\n%s", out)
		}
		n.Key = rand.Text()
		if n.GUI, err = freePort(); err != nil {
			return nil, err
		}
		if n.Port, err = freePort(); err != nil {
			return nil, err
		}
	}
	if err := s.start(s.from); err != nil {
		return nil, err
	}
	return s, s.from.process.until(func() bool {
		st, err := s.from.status()
		return err == nil && st.State == "idle" && st.LocalBytes > 0
	})
}

func (s *syncthing) start(n *syncthingNode) error {
	var config bytes.Buffer
	if err := template.Must(template.New("").Parse(syncthingConfig)).Execute(&config, n); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(n.Home, "config.xml"), config.Bytes(), 0o600); err != nil {
		return err
	}
	var err error
	n.process, err = s.ends.start("syncthing", "serve", "--home", n.Home, "--no-browser", "--no-restart", "--no-upgrade", "--no-default-folder")
	return err
}

// anew starts the receiving instance with nothing of the folder, and returns when the two are connected. The
// folder is paused.
func (s *syncthing) anew() error {
	if s.to.process != nil {
		s.to.process.stop()
	}
	index, err := filepath.Glob(filepath.Join(s.to.Home, "index-*"))
	if err != nil {
		return err
	}
	for _, path := range append(index, s.to.Folder) {
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Join(s.to.Folder, ".stfolder"), 0o755); err != nil { // without it, it would not dare
		return err
	}
	if err := s.start(s.to); err != nil {
		return err
	}
	dropCaches()
	return s.to.process.until(func() bool {
		var c struct {
			Connections map[string]struct{ Connected bool }
		}
		return s.to.ask("GET", "system/connections", "", &c) == nil && c.Connections[s.from.ID].Connected
	})
}

// fetch resumes the folder, and returns when all of it is here.
func (s *syncthing) fetch() error {
	want, err := s.from.status()
	if err != nil {
		return err
	}
	if err := s.to.ask("PATCH", "config/folders/"+treeName, `{"paused":false}`, nil); err != nil {
		return err
	}
	return s.to.process.until(func() bool {
		st, err := s.to.status()
		return err == nil && st.LocalBytes == want.LocalBytes && st.NeedBytes == 0 && st.State == "idle"
	})
}

// syncthingStatus is what an instance says of the folder, as far as it is looked at here.
type syncthingStatus struct {
	State                 string
	LocalBytes, NeedBytes int64
}

func (n *syncthingNode) status() (st syncthingStatus, err error) {
	return st, n.ask("GET", "db/status?folder="+treeName, "", &st)
}

func (n *syncthingNode) ask(method, what, body string, answer any) error {
	r, err := http.NewRequest(method, fmt.Sprintf("http://127.0.0.1:%d/rest/%s", n.GUI, what), strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("X-API-Key", n.Key)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s: %s", method, what, resp.Status, bytes.TrimSpace(text))
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(text, answer)
}
