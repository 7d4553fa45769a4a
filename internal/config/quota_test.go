package config

import "testing"

func TestQuota(t *testing.T) {
	const limit = 10 << 30
	for text, want := range map[string]int64{"80%": limit * 80 / 100, " 5 %": limit * 5 / 100, "100%": limit, "1GiB": 1 << 30, "20GiB": limit} {
		q, err := ParseQuota(text)
		if err != nil || q.Of(limit) != want {
			t.Errorf("%q: %+v %v, %d of the limit", text, q, err, q.Of(limit))
		}
	}
	if got := (Quota{}).Of(limit); got != limit*80/100 {
		t.Errorf("default: %d", got)
	}
	for _, text := range []string{"", "0%", "101%", "-5%", "%", "0", "half", "80 %%"} {
		if q, err := ParseQuota(text); err == nil {
			t.Errorf("%q is %+v", text, q)
		}
	}
	if c, err := Parse(`pin_quota = "30%"`); err != nil || c.PinQuota != (Quota{Percent: 30}) {
		t.Errorf("%+v %v", c, err)
	}
	if _, err := Parse(`pin_quota = "most"`); err == nil {
		t.Error("most is no quota")
	}
}

func TestHeat(t *testing.T) {
	const limit = 10 << 30
	for text, want := range map[string]int64{``: limit / 4, `heat = "off"`: 0, `heat = "10%"`: limit / 10, `heat = "1GiB"`: 1 << 30, `heat = "1TiB"`: limit} {
		c, err := Parse(text)
		if got := c.HeatOf(limit); err != nil || got != want {
			t.Errorf("%s: %d of the limit, %v", text, got, err)
		}
	}
	for _, text := range []string{`heat = ""`, `heat = "0%"`, `heat = "on"`, `heat = true`, `heat = "-1GiB"`} {
		if c, err := Parse(text); err == nil {
			t.Errorf("%s: %+v", text, c.Heat)
		}
	}
}
