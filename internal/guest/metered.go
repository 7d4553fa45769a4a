package guest

import (
	"context"
	"net"
	"path"
	"time"
)

// How the owner says whether bytes over the internet cost: Config.Metered.
const (
	MeteredAuto = "auto" // as the interface is called, or the system says
	MeteredYes  = "yes"
	MeteredNo   = "no"
)

// meter says whether the way to the internet is metered.
type meter struct {
	setting    string
	interfaces []string // patterns
	route      func() string
	system     func(context.Context) bool
}

func (m meter) look(ctx context.Context) bool {
	switch m.setting {
	case MeteredYes:
		return true
	case MeteredNo:
		return false
	}
	if len(m.interfaces) > 0 {
		name := m.route()
		for _, p := range m.interfaces {
			if ok, _ := path.Match(p, name); ok && name != "" {
				return true
			}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return m.system(ctx)
}

// routeToInternet is the name of the interface over which the internet is reached: that of the address from
// which the system would send. Nothing is sent. "" without a route.
func routeToInternet() string {
	for _, far := range []string{"192.0.2.1:9", "[2001:db8::1]:9"} {
		c, err := net.Dial("udp", far)
		if err != nil {
			continue
		}
		from := c.LocalAddr().(*net.UDPAddr).IP
		_ = c.Close()
		if name := interfaceOf(from); name != "" {
			return name
		}
	}
	return ""
}

func interfaceOf(ip net.IP) string {
	all, _ := net.Interfaces()
	for _, i := range all {
		addrs, _ := i.Addrs()
		for _, a := range addrs {
			if n, ok := a.(*net.IPNet); ok && n.IP.Equal(ip) {
				return i.Name
			}
		}
	}
	return ""
}
