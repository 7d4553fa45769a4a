package controlapi

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/shelffs/shelf/internal/errs"
)

func TestSpelling(t *testing.T) {
	for name, want := range map[string]string{
		"":                           `""`,
		"/ä €\U0001F600/\ufffd\\xff": "\"/ä €\U0001F600/\ufffd\\\\xff\"", // UTF-8 as ever
		"/bad\xff":                   `"/bad\u0000ff"`,
		"\xe2\x82/a":                 `"\u0000e2\u000082/a"`, // a character that is cut
		"\xed\xa0\x80":               `"\u0000ed\u0000a0\u000080"`,
		"a\x00ff":                    `"a\u000000ff"`, // no name, and yet not another one
	} {
		b, err := Marshal(name)
		if err != nil || string(b) != want {
			t.Errorf("%q is spelled %s, want %s (%v)", name, b, want, err)
		}
		var back string
		if err := Decode(json.NewDecoder(bytes.NewReader(b)), &back); err != nil || back != name {
			t.Errorf("%s is read as %q, want %q (%v)", b, back, name, err)
		}
	}
	for text, want := range map[string]string{`"a\u0000"`: "a\x00", `"\u0000f"`: "\x00f", `"\u0000xy\u0000ff"`: "\x00xy\xff"} {
		var got string
		if err := Decode(json.NewDecoder(strings.NewReader(text)), &got); err != nil || got != want {
			t.Errorf("%s is read as %q, want %q (%v)", text, got, want, err)
		}
	}
}

// Every string of a value is spelled, wherever it is, and the value itself stays as it was.
func TestSpellingReachesEverything(t *testing.T) {
	const bad = "/\xff"
	type inner struct{ Name string }
	type outer struct {
		inner
		*Here
		List  []PlaceItem
		Any   any
		Err   *Error
		When  time.Time
		Bytes []byte
	}
	made := func() outer {
		return outer{inner{bad}, &Here{LocalBytes: 3}, []PlaceItem{{Path: bad, Refused: &Refusal{Kind: "busy", Paths: []string{bad, "/a"}}}}, []string{bad},
			FromError(errs.E("op", errs.NotExist, bad, nil)), time.Unix(5, 0).UTC(), []byte{0xff}}
	}
	v := made()
	b, err := Marshal(v)
	if err != nil || bytes.Contains(b, []byte(`\ufffd`)) || bytes.Count(b, []byte(`\u0000ff`)) != 5 {
		t.Errorf("%s %v", b, err)
	}
	if !reflect.DeepEqual(v, made()) {
		t.Errorf("it was changed: %+v", v)
	}
	var back outer
	if err := Decode(json.NewDecoder(bytes.NewReader(b)), &back); err != nil || back.Name != bad || back.List[0].Refused.Paths[0] != bad ||
		back.List[0].Refused.Paths[1] != "/a" || back.Any.([]any)[0] != bad || back.Err.Message != bad+": does not exist" || !back.When.Equal(v.When) {
		t.Errorf("%+v %v", back, err)
	}
}
