package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

var errLine = errors.New(`expected  key = "value"`)

// parseLine reads one line: no key for an empty one or a comment, else the key and its
// values (one, or those of a list).
func parseLine(line string) (key string, values []string, err error) {
	line = strings.TrimSpace(line)
	if line == "" || line[0] == '#' {
		return "", nil, nil
	}
	if line[0] == '[' {
		return "", nil, errors.New("sections are not used here")
	}
	key, rest, ok := strings.Cut(line, "=")
	key = strings.TrimSpace(key)
	if !ok || key == "" {
		return "", nil, errLine
	}
	p := scanner{strings.TrimSpace(rest)}
	if p.take('[') {
		values, err = p.list()
	} else {
		var v string
		v, err = p.value()
		values = []string{v}
	}
	if err != nil {
		return "", nil, fmt.Errorf("%s: %w", key, err)
	}
	if p.space(); p.s != "" && p.s[0] != '#' {
		return "", nil, fmt.Errorf("%s: unexpected %q after the value", key, p.s)
	}
	return key, values, nil
}

// scanner eats a line from its front.
type scanner struct{ s string }

func (p *scanner) space() { p.s = strings.TrimLeft(p.s, " \t") }

func (p *scanner) take(c byte) bool {
	if p.space(); p.s != "" && p.s[0] == c {
		p.s = p.s[1:]
		return true
	}
	return false
}

// list reads after "[" up to and with "]". A comma may follow the last value.
func (p *scanner) list() ([]string, error) {
	values := []string{}
	for !p.take(']') {
		v, err := p.value()
		if err != nil {
			return nil, err
		}
		values = append(values, v)
		if p.take(',') {
			continue
		}
		if !p.take(']') {
			return nil, errors.New("expected , or ] in the list")
		}
		break
	}
	return values, nil
}

// value reads "text" with escapes, 'text' as it stands, or a bare number.
func (p *scanner) value() (string, error) {
	p.space()
	switch {
	case p.s == "":
		return "", errors.New("the value is missing")
	case p.s[0] == '\'':
		v, rest, ok := strings.Cut(p.s[1:], "'")
		if !ok {
			return "", errors.New("the closing ' is missing")
		}
		p.s = rest
		return v, nil
	case p.s[0] == '"':
		q, err := strconv.QuotedPrefix(p.s)
		if err != nil {
			return "", errors.New(`the closing " is missing, or an escape is wrong`)
		}
		p.s = p.s[len(q):]
		return strconv.Unquote(q)
	}
	n := strings.IndexFunc(p.s, func(r rune) bool { return (r < '0' || r > '9') && r != '_' })
	if n < 0 {
		n = len(p.s)
	}
	v := strings.ReplaceAll(p.s[:n], "_", "")
	if v == "" {
		return "", errors.New(`a text stands between " and "`)
	}
	p.s = p.s[n:]
	return v, nil
}
