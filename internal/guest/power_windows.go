package guest

import (
	"context"
	"io/fs"
	"unsafe"

	"golang.org/x/sys/windows"
)

// systemPower asks GetSystemPowerStatus.
func systemPower(context.Context, fs.FS) power {
	var s struct { // SYSTEM_POWER_STATUS
		line, flag, percent, saver byte
		left, full                 uint32
	}
	call := windows.NewLazySystemDLL("kernel32.dll").NewProc("GetSystemPowerStatus")
	if call.Find() != nil {
		return power{level: -1}
	}
	if ok, _, _ := call.Call(uintptr(unsafe.Pointer(&s))); ok == 0 {
		return power{level: -1}
	}
	return windowsPower(s.line, s.flag, s.percent)
}
