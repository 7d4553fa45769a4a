// Shelf shows every file of all your devices in one folder. This is its one program: the
// command line, and with the hidden command `daemon` the daemon.
package main

import (
	"os"

	"github.com/shelffs/shelf/internal/cli"
	"github.com/shelffs/shelf/internal/daemon"
)

// version is set by the linker: make build.
var version = "0.1.0-dev"

func main() {
	os.Exit(cli.Main(cli.Deps{Version: version, RunDaemon: daemon.Run, ServeRelay: daemon.ServeRelay, Examine: daemon.Examine}, os.Args[1:]))
}
