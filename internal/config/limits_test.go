package config

import (
	"reflect"
	"strings"
	"testing"

	"github.com/shelffs/shelf/internal/errs"
)

func TestLimits(t *testing.T) {
	c, err := Parse(`[limits]
lan_up = "20 MB/s"
lan_down = "20MB"
internet_up = 2000000
internet_down = "off"
relay_up = "512 KiB/s"
relay_down = "1.5MiB/s"
metered_up = "16KiB/s"
metered_down = "1 gb/s"
`)
	want := Limits{20e6, 20e6, 2e6, 0, 512 << 10, 3 << 19, 16 << 10, 1e9}
	if err != nil || c.Limits != want {
		t.Errorf("%+v, %v", c.Limits, err)
	}
	for i, name := range LimitNames {
		var l Limits
		*l.Named(name) = 7
		if reflect.ValueOf(l).Field(i).Int() != 7 || reflect.TypeOf(l).Field(i).Tag.Get("json") != name {
			t.Errorf("%s names %+v", name, l)
		}
	}
	if new(Limits).Named("wan_up") != nil {
		t.Error("a limit of no name")
	}
	for text, says := range map[string]string{
		`lan_up = "fast"`:         "say, for example, 2MB/s, or off",
		`lan_up = ""`:             "say, for example, 2MB/s, or off",
		`lan_up = 0`:              "say, for example, 2MB/s, or off",
		`lan_up = -1`:             "say, for example, 2MB/s, or off",
		`relay_down = "1KiB/s"`:   "at least 16 KiB/s",
		`relay_down = "2MB/h"`:    "2MB/h",
		`wan_up = "2MB/s"`:        `limits has no "wan_up"; it has lan_up, lan_down, internet_up`,
		`internet_up = ["2MB/s"]`: "internet_up",
	} {
		if _, err := Parse("[limits]\n" + text); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want it to say %q", text, err, says)
		}
	}
	if _, err := Parse(`limits = "2MB/s"`); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), "begin it with [limits]") {
		t.Errorf("limits that are no table: %v", err)
	}
}

func TestBackground(t *testing.T) {
	c, err := Parse("[background]\nbattery = \"45 %\"\nmetered = \"auto\"\ninterfaces = [\"wwan*\", \"usb0\"]\npressure = false\n")
	want := Background{Battery: new(45), Metered: "auto", Interfaces: []string{"wwan*", "usb0"}, NoPressure: true}
	if err != nil || !reflect.DeepEqual(c.Background, want) {
		t.Errorf("%+v, %v", c.Background, err)
	}
	if c, err := Parse("[background]\nbattery = \"0%\"\npressure = true\n"); err != nil || c.Background.Battery == nil || *c.Background.Battery != 0 || c.Background.NoPressure {
		t.Errorf("%+v, %v", c.Background, err)
	}
	for text, says := range map[string]string{
		`battery = "45"`:       `say a level, for example battery = "30%"`,
		`battery = "101%"`:     "say a level",
		`battery = "-1%"`:      "say a level",
		`battery = ""`:         "say a level",
		`battery = 30`:         `last key "background.battery"`,
		`metered = "maybe"`:    "say auto, yes or no",
		`metered = ""`:         "say auto, yes or no",
		`interfaces = ["["]`:   "interface",
		`interfaces = [""]`:    "interface",
		`interfaces = "wwan0"`: `last key "background.interfaces"`,
		`pressure = "off"`:     `last key "background.pressure"`,
		`charger = "yes"`:      `background has no "charger"; it has battery, metered, interfaces, pressure`,
	} {
		if _, err := Parse("[background]\n" + text); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want it to say %q", text, err, says)
		}
	}
}
