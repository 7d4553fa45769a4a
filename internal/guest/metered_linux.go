package guest

import (
	"context"

	"github.com/godbus/dbus/v5"
)

// systemMetered asks NetworkManager, where there is one; false where nobody knows.
func systemMetered(ctx context.Context) bool {
	const name = "org.freedesktop.NetworkManager"
	bus, err := dbus.ConnectSystemBus(dbus.WithContext(ctx))
	if err != nil {
		return false
	}
	defer func() { _ = bus.Close() }()
	var v dbus.Variant
	get := bus.Object(name, "/org/freedesktop/NetworkManager").
		CallWithContext(ctx, "org.freedesktop.DBus.Properties.Get", dbus.FlagNoAutoStart, name, "Metered")
	if get.Store(&v) != nil {
		return false
	}
	n, _ := v.Value().(uint32)
	return n == nmYes || n == nmGuessYes
}

// NMMetered of NetworkManager's interface; 0 is unknown, 2 no, 4 a guessed no.
const (
	nmYes      = 1
	nmGuessYes = 3
)
