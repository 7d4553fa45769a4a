//go:build !linux

package probe

import (
	"os"
	"runtime"
)

// Run looks at this system.
func Run() Report {
	var f Finding
	switch runtime.GOOS {
	case "darwin":
		f = installed("macfuse", "macFUSE", "/Library/Filesystems/macfuse.fs", "brew install --cask macfuse")
	case "freebsd":
		f = installed("fuse-device", "fusefs", "/dev/fuse", "kldload fusefs && pkg install fusefs-libs3")
	case "windows":
		f = installed("winfsp", "WinFsp", os.Getenv("ProgramFiles(x86)")+`\WinFsp\bin`, "winget install WinFsp.WinFsp")
	default:
		f = Finding{ID: "fuse-device", Fatal: true, What: "mounting is not supported on " + runtime.GOOS}
	}
	return Report{Findings: []Finding{f}}
}

func installed(id, name, path, fix string) Finding {
	f := Finding{ID: id, Fatal: true, What: name + " is not installed", Fix: fix}
	if _, err := os.Stat(path); err == nil {
		f.OK, f.What, f.Fix = true, name+" is installed", ""
	}
	return f
}
