package guest

import (
	"context"
	"testing"
	"testing/fstest"
)

// supply is one power supply's folder; files are name, value, name, value …
func supply(fsys fstest.MapFS, name string, files ...string) {
	for i := 0; i < len(files); i += 2 {
		fsys["sys/class/power_supply/"+name+"/"+files[i]] = &fstest.MapFile{Data: []byte(files[i+1] + "\n")}
	}
}

func TestPower(t *testing.T) {
	for name, c := range map[string]struct {
		make func(fstest.MapFS)
		want power
	}{
		"a desktop without any": {func(fstest.MapFS) {}, power{false, -1}},
		"unplugged": {func(f fstest.MapFS) {
			supply(f, "AC", "type", "Mains", "online", "0")
			supply(f, "BAT0", "type", "Battery", "status", "Discharging", "capacity", "41")
		}, power{true, 41}},
		"plugged in and charging": {func(f fstest.MapFS) {
			supply(f, "AC", "type", "Mains", "online", "1")
			supply(f, "BAT0", "type", "Battery", "status", "Charging", "capacity", "41")
		}, power{false, 41}},
		"a charger over USB that is too weak": {func(f fstest.MapFS) {
			supply(f, "ucsi-source-psy-1", "type", "USB", "online", "1")
			supply(f, "BAT0", "type", "Battery", "status", "Discharging", "capacity", "7")
		}, power{false, 7}},
		"full": {func(f fstest.MapFS) {
			supply(f, "BAT0", "type", "Battery", "status", "Full", "capacity", "100")
		}, power{false, 100}},
		"two batteries, one of which is used": {func(f fstest.MapFS) {
			supply(f, "BAT0", "type", "Battery", "status", "Not charging", "capacity", "80")
			supply(f, "BAT1", "type", "Battery", "status", "Discharging", "capacity", "20")
		}, power{true, 50}},
		"a mouse's battery is none": {func(f fstest.MapFS) {
			supply(f, "hid-mouse", "type", "Battery", "scope", "Device", "status", "Discharging", "capacity", "3")
		}, power{false, -1}},
		"a battery that does not say how full it is": {func(f fstest.MapFS) {
			supply(f, "BAT0", "type", "Battery", "status", "Discharging", "capacity", "??")
		}, power{true, -1}},
		"a UPS that took over": {func(f fstest.MapFS) {
			supply(f, "ups0", "type", "UPS", "status", "Discharging", "capacity", "90")
		}, power{true, 90}},
	} {
		fsys := fstest.MapFS{}
		c.make(fsys)
		if got := readPower(fsys); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

// What is short stays so until it is well below the mark; the disk counts before the others.
func TestPressure(t *testing.T) {
	fsys := fstest.MapFS{}
	set := func(file, avg10 string) {
		fsys["proc/pressure/"+file] = &fstest.MapFile{Data: []byte("some avg10=" + avg10 + " avg60=99.00 avg300=99.00 total=4474794237\nfull avg10=99.00 avg60=0 avg300=0 total=1\n")}
	}
	was := ""
	look := func(want string) {
		t.Helper()
		if was = readPressure(fsys, was); was != want {
			t.Errorf("%q, want %q", was, want)
		}
	}
	look("") // a kernel without
	set("io", "49.99")
	set("cpu", "79.00")
	look("")
	set("io", "50.00")
	look("disk")
	set("io", "25.00")
	look("disk")
	set("io", "24.99")
	look("")
	set("io", "40.00")
	look("")
	set("cpu", "80.00")
	look("processor")
	set("io", "51.00")
	look("disk")
	set("io", "0.00")
	look("processor")
	fsys["proc/pressure/cpu"] = &fstest.MapFile{Data: []byte("some avg10=nonsense\nfull avg10=99.00\n")}
	fsys["proc/pressure/memory"] = &fstest.MapFile{Data: []byte("some\n\n")}
	look("")
}

func TestMeter(t *testing.T) {
	for name, c := range map[string]struct {
		m    meter
		want bool
	}{
		"yes whatever the system says": {meter{setting: MeteredYes}, true},
		"no whatever the system says":  {meter{MeteredNo, []string{"wwan*"}, says("wwan0"), knows(true)}, false},
		"by the system":                {meter{"", nil, says("wlan0"), knows(true)}, true},
		"not by the system":            {meter{MeteredAuto, nil, says("wlan0"), knows(false)}, false},
		"by the interface":             {meter{MeteredAuto, []string{"eth0", "wwan*"}, says("wwan0"), knows(false)}, true},
		"not by another interface":     {meter{MeteredAuto, []string{"wwan*"}, says("eth0"), knows(false)}, false},
		"without a route":              {meter{MeteredAuto, []string{"*"}, says(""), knows(false)}, false},
	} {
		if got := c.m.look(context.Background()); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func says(name string) func() string           { return func() string { return name } }
func knows(is bool) func(context.Context) bool { return func(context.Context) bool { return is } }

func TestPowerElsewhere(t *testing.T) {
	for in, want := range map[[3]byte]power{
		{0, 1, 41}: {true, 41}, {0, 4, 5}: {true, 5}, {1, 8, 80}: {false, 80}, {1, 128, 255}: {false, -1},
		{255, 255, 255}: {false, -1}, {0, 128, 255}: {false, -1}, {0, 0, 255}: {true, -1}, {255, 0, 50}: {false, 50},
	} {
		if got := windowsPower(in[0], in[1], in[2]); got != want {
			t.Errorf("Windows %v: %+v, want %+v", in, got, want)
		}
	}
	for in, want := range map[string]power{
		"Now drawing from 'Battery Power'\n -InternalBattery-0 (id=4653155)\t41%; discharging; 3:07 remaining present: true\n": {true, 41},
		"Now drawing from 'AC Power'\n -InternalBattery-0 (id=4653155)\t100%; charged; 0:00 remaining present: true\n":         {false, 100},
		"Now drawing from 'AC Power'\n": {false, -1},
		"Now drawing from 'UPS Power'\n -UPS (id=1)\t90%; discharging; (no estimate) present: true\n": {true, 90},
		"": {false, -1},
	} {
		if got := pmsetPower(in); got != want {
			t.Errorf("macOS %q: %+v, want %+v", in, got, want)
		}
	}
}
