package controlapi

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Names are bytes and JSON is text. In every string that crosses the socket or is printed as JSON a
// byte that is no part of UTF-8 is spelled as NUL and its two hexadecimal digits. No name or path
// holds a NUL, so all that is UTF-8 looks as it is, and every parser of JSON takes the rest. It is
// done here, for whole values, so that no field of a request or an answer can be forgotten.

// Marshal is json.Marshal for what may hold names.
func Marshal(v any) ([]byte, error) { return json.Marshal(spelled(v)) }

// Encode writes one value of what may hold names.
func Encode(enc *json.Encoder, v any) error { return enc.Encode(spelled(v)) }

// Decode reads one value into *v, with names as they are.
func Decode(dec *json.Decoder, v any) error {
	err := dec.Decode(v)
	respell(reflect.ValueOf(v).Elem(), unspell)
	return err
}

func spelled(v any) any {
	respell(reflect.ValueOf(&v).Elem(), spell)
	return v
}

// spell is s as JSON can hold it.
func spell(s string) string {
	if utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		_, n := utf8.DecodeRuneInString(s[i:])
		if s[i] == 0 || n == 1 && s[i] >= utf8.RuneSelf {
			fmt.Fprintf(&b, "\x00%02x", s[i])
		} else {
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	return b.String()
}

// unspell is its inverse. A NUL before anything else stays, and is refused where a path is looked at.
func unspell(s string) string {
	first, rest, found := strings.Cut(s, "\x00")
	if !found {
		return s
	}
	var b strings.Builder
	b.WriteString(first)
	for part := range strings.SplitSeq(rest, "\x00") {
		if len(part) >= 2 {
			if n, err := strconv.ParseUint(part[:2], 16, 8); err == nil {
				b.WriteByte(byte(n))
				b.WriteString(part[2:])
				continue
			}
		}
		b.WriteString("\x00" + part)
	}
	return b.String()
}

// respell gives every string in v another spelling. What v refers to is copied, not changed. The
// types of this API have no maps.
func respell(v reflect.Value, f func(string) string) {
	switch v.Kind() {
	case reflect.Struct: // an embedded one need not be exported
		for i := range v.NumField() {
			if t := v.Type().Field(i); t.IsExported() || t.Anonymous {
				respell(v.Field(i), f)
			}
		}
	case reflect.String:
		if was := v.String(); v.CanSet() {
			if s := f(was); s != was {
				v.SetString(s)
			}
		}
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() || !v.CanSet() {
			return
		}
		c := reflect.New(v.Elem().Type())
		c.Elem().Set(v.Elem())
		respell(c.Elem(), f)
		if v.Kind() == reflect.Interface {
			c = c.Elem()
		}
		v.Set(c)
	case reflect.Slice:
		if v.Len() == 0 || !v.CanSet() || v.Type().Elem().Kind() == reflect.Uint8 {
			return
		}
		c := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		reflect.Copy(c, v)
		for i := range c.Len() {
			respell(c.Index(i), f)
		}
		v.Set(c)
	}
}
