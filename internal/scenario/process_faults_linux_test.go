package scenario

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/shelffs/shelf/internal/config"
)

var faultsCut = flag.Duration("faults.cut", 5*time.Second, "how long TestFaults pulls the cable")

// What happens to the devices that a file is read from, amid the reading.
func TestFaults(t *testing.T) {
	t.Run("a holder vanishes", func(t *testing.T) {
		t.Parallel()
		data := random(1, 96<<20)
		first, second, reader := holders(t, "file", data)
		got := reader.readThrough("file", func() { first.kill() }, func() { first.up(); reader.sees(first); second.kill() })
		if !bytes.Equal(got, data) {
			t.Errorf("%d bytes read, others than were written", len(got))
		}
	})
	t.Run("two of three holders are damaged", func(t *testing.T) {
		t.Parallel()
		data := random(2, 24<<20)
		first, second, third := holders(t, "file", data)
		third.must("pin", third.path("file"))
		third.isWhole("file")
		reader := newDevice(t, "reader")
		first.admit(reader)
		reader.up()
		reader.hasSize("file", int64(len(data)))
		for _, d := range []*device{first, second, third} {
			reader.sees(d)
		}
		damage(t, first)
		damage(t, second)
		if got := reader.read("file"); !bytes.Equal(got, data) {
			t.Error("what was read is not what was written")
		}
		log, err := os.ReadFile(filepath.Join(reader.home, "shelf.log"))
		if err != nil || !bytes.Contains(log, []byte("sent something else than a block")) {
			t.Error("nobody was asked who holds it damaged: ", err)
		}
	})
	t.Run("the cable is pulled", func(t *testing.T) {
		t.Parallel()
		c, err := newCable(t)
		if err != nil {
			cannot(t, "no network can be cut here", err)
		}
		data := random(3, 96<<20)
		a, b := newDevice(t, "a"), newDevice(t, "b")
		for i, d := range []*device{a, b} {
			d.prefix = append([]string{"nsenter"}, c.enter(i)...)
			if err := said(c.at(i, "tc", "qdisc", "add", "dev", cableName, "root", "tbf", "rate", "400mbit", "burst", "256k", "latency", "50ms")); err != nil {
				t.Log("the cable is as fast as it can be:", err)
			}
		}
		a.up().write("file", data)
		a.admit(b)
		b.up()
		b.hasSize("file", int64(len(data)))
		f, err := os.Open(b.path("file"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := io.CopyN(io.Discard, f, 8<<20); err != nil {
			t.Fatal(err)
		}
		if err := c.set("down"); err != nil {
			t.Fatal(err)
		}
		cut := time.Now()
		ended := make(chan error, 1)
		go func() { _, err := io.Copy(io.Discard, f); ended <- err }()
		quick(t, "ls -l", func() { _ = exec.Command("ls", "-l", b.mnt).Run() })
		quick(t, "a new file", func() { b.write("new", []byte("new")) })
		time.Sleep(*faultsCut)
		if err := c.set("up"); err != nil {
			t.Fatal(err)
		}
		// The reader goes on after a pause, or was told; it does not wait for ever.
		select {
		case err := <-ended:
			if err != nil && !errors.Is(err, syscall.EHOSTDOWN) && !errors.Is(err, syscall.ETIMEDOUT) {
				t.Error(err)
			}
			t.Logf("the reader ended after %v: %v", time.Since(cut), err)
		case <-time.After(*faultsCut + 20*time.Second + slack):
			t.Error("the reader still waits")
		}
		b.shows("file", data)
		a.shows("new", []byte("new"))
	})
}

// holders are two devices that keep a file, and a third that knows of it and is connected to both.
func holders(t *testing.T, name string, data []byte) (first, second, third *device) {
	t.Helper()
	first, second, third = newDevice(t, "first").up(), newDevice(t, "second"), newDevice(t, "third")
	first.write(name, data)
	first.admit(second)
	second.up()
	second.hasSize(name, int64(len(data)))
	second.must("pin", second.path(name))
	second.isWhole(name)
	first.admit(third)
	third.up()
	third.hasSize(name, int64(len(data)))
	third.sees(first)
	third.sees(second)
	return first, second, third
}

func (d *device) isWhole(name string) {
	d.t.Helper()
	eventually(d.t, 20*time.Second, name+" is on "+d.name, func() bool { return d.pathStatus(d.path(name)).Complete })
}

// sees waits until d is connected to another device.
func (d *device) sees(other *device) {
	d.t.Helper()
	eventually(d.t, 20*time.Second, d.name+" is connected to "+other.name, func() bool {
		for _, p := range d.status().Peers {
			if p.Name == other.name && p.Connected {
				return true
			}
		}
		return false
	})
}

// readThrough reads a file from one end to the other, with things happening at even distances.
func (d *device) readThrough(name string, happens ...func()) []byte {
	d.t.Helper()
	f, err := os.Open(d.path(name))
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		d.t.Fatal(err)
	}
	got := make([]byte, fi.Size())
	at := 0
	for i := range len(happens) + 1 {
		to := len(got) * (i + 1) / (len(happens) + 1)
		n, err := io.ReadFull(f, got[at:to])
		if at += n; err != nil {
			d.t.Fatalf("%s: at %d of %d: %v", d.name, at, len(got), err)
		}
		if i < len(happens) {
			happens[i]()
		}
	}
	return got
}

// damage changes a byte in every 64 KiB of what a device keeps, under its running daemon.
func damage(t *testing.T, d *device) {
	t.Helper()
	segments, err := filepath.Glob(filepath.Join(config.Home(d.home).CacheDir(), "*", "*.seg"))
	if len(segments) == 0 {
		t.Fatal("nothing to damage", err)
	}
	for _, name := range segments {
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		fi, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		one := make([]byte, 1)
		for off := int64(32 << 10); off < fi.Size(); off += 64 << 10 {
			if _, err := f.ReadAt(one, off); err != nil {
				t.Fatal(err)
			}
			one[0] ^= 1
			if _, err := f.WriteAt(one, off); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
