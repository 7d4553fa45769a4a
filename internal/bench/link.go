//go:build linux

package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// A carrier is what a bare stream goes over.
type carrier interface {
	listen() (net.Listener, error)
	dial(address string) (net.Conn, error)
}

// loopbackCarrier is this machine's.
type loopbackCarrier struct{}

func (loopbackCarrier) listen() (net.Listener, error)         { return net.Listen("tcp", "127.0.0.1:0") }
func (loopbackCarrier) dial(address string) (net.Conn, error) { return net.Dial("tcp", address) }

// link joins two network namespaces by a line of some bandwidth and delay. Not every kernel has netem: the
// line is this process, that passes packets from the one's TUN device to the other's. The namespaces have no
// names: they end with the last process that is in them, and with this one.
type link struct {
	ends [2]linkEnd
}

type linkEnd struct {
	namespace *os.File
	tun       *os.File
	ip        string
}

// newLink makes a link for rate bytes per second each way, of IP packets with their headers, that arrive
// after delay, as fit into a queue that takes as long to send as queue.
func newLink(e *ends, rate float64, delay, queue time.Duration) (*link, error) {
	l := &link{}
	for i := range l.ends {
		end := &l.ends[i]
		end.ip = fmt.Sprintf("10.0.0.%d", i+1)
		err := e.begin(func() error { return onThread(end.open) }, end.close)
		if err != nil {
			return nil, err
		}
	}
	go carry(l.ends[0].tun, l.ends[1].tun, rate, delay, queue)
	go carry(l.ends[1].tun, l.ends[0].tun, rate, delay, queue)
	return l, nil
}

// onThread runs f on a thread that ends with it, so that f may change what belongs to the thread.
func onThread(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		done <- f()
	}()
	return <-done
}

// open makes a namespace, for the calling thread, with a TUN device that is up.
func (end *linkEnd) open() error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("a network namespace: %w", err)
	}
	var err error
	if end.namespace, err = os.Open("/proc/thread-self/ns/net"); err != nil {
		return err
	}
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("/dev/net/tun: %w", err)
	}
	const name = "line"
	device, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	// With a header that says what is left to do: large packets then pass as one, as through a network card.
	device.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, device); err != nil {
		unix.Close(fd)
		return fmt.Errorf("a TUN device: %w", err)
	}
	if err := unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, unix.TUN_F_CSUM|unix.TUN_F_TSO4|unix.TUN_F_TSO6); err != nil {
		unix.Close(fd)
		return fmt.Errorf("a TUN device with offloads: %w", err)
	}
	end.tun = os.NewFile(uintptr(fd), "/dev/net/tun")
	for _, args := range [][]string{
		{"link", "set", "lo", "up"},
		{"address", "add", end.ip + "/24", "dev", name},
		{"link", "set", name, "up"},
	} {
		if err := command("ip", args...); err != nil {
			return err
		}
	}
	return nil
}

func (end *linkEnd) close() {
	for _, f := range []*os.File{end.tun, end.namespace} {
		if f != nil {
			f.Close()
		}
	}
}

// carry passes packets from one device to the other, until one is closed.
func carry(from, to *os.File, rate float64, delay, queue time.Duration) {
	type packet struct {
		data []byte
		due  time.Time
	}
	line := make(chan packet, 1<<16)
	defer close(line)
	go func() {
		for p := range line {
			// The runtime's timers are exact to a millisecond only, which would be added to each way.
			wait := unix.NsecToTimespec(max(0, time.Until(p.due).Nanoseconds()))
			_ = unix.Nanosleep(&wait, nil)
			if _, err := to.Write(p.data); errors.Is(err, os.ErrClosed) {
				return
			}
		}
	}()
	const header = 10 // struct virtio_net_hdr
	// What the line could have sent while this process was not let run may be sent after: as with tbf.
	const burst = 5 * time.Millisecond
	buf := make([]byte, header+1<<16)
	var free time.Time // when the line has sent all that waits
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		now := time.Now()
		if free.Before(now.Add(-burst)) {
			free = now.Add(-burst)
		}
		if free.Sub(now) > queue {
			continue // lost
		}
		free = free.Add(time.Duration(float64(n-header) / rate * 1e9))
		select {
		case line <- packet{append([]byte(nil), buf[:n]...), later(free, now).Add(delay)}:
		default:
		}
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// over is the carrier from the one end, which waits there, to the other.
func (l *link) over() carrier { return linkCarrier{l} }

type linkCarrier struct{ *link }

func (l linkCarrier) listen() (listener net.Listener, err error) {
	err = l.ends[0].within(func() error {
		listener, err = net.Listen("tcp", l.ends[0].ip+":0")
		return err
	})
	return listener, err
}

func (l linkCarrier) dial(address string) (c net.Conn, err error) {
	err = l.ends[1].within(func() error {
		c, err = net.DialTimeout("tcp", address, 10*time.Second)
		return err
	})
	return c, err
}

// within runs f, on a thread in the namespace; what it opens there stays there.
func (end *linkEnd) within(f func() error) error {
	return onThread(func() error {
		if err := unix.Setns(int(end.namespace.Fd()), unix.CLONE_NEWNET); err != nil {
			return err
		}
		return f()
	})
}

// path is what nsenter takes.
func (end *linkEnd) path() string {
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), end.namespace.Fd())
}
