package sim

import (
	"fmt"
	"strconv"
	"strings"
)

// Script is a history to be played.
type Script struct {
	Devices  int
	Skew     []int64 // by device: milliseconds that its clock is off
	Blind    int     // the device without keys; < 0: none
	Steps    []Step
	Thorough bool // every step is checked
}

// Step is one event. Its meaning does not depend on the steps before it more than a person's
// action does: what it names may be missing, and then nothing happens.
type Step struct {
	N    int    // its number when the script was made: seeds what the step draws
	At   int64  // milliseconds since the beginning, by the common clock
	Dev  int    // who acts
	Op   string // what: see ops.go and events.go
	Args []string
}

func (s Step) String() string {
	b := fmt.Appendf(nil, "%d %d %s %s", s.N, s.At, deviceName(s.Dev), s.Op)
	for _, a := range s.Args {
		b = append(b, ' ')
		if a == "" || strings.ContainsAny(a, " \"\\\n") {
			b = strconv.AppendQuote(b, a)
		} else {
			b = append(b, a...)
		}
	}
	return string(b)
}

func deviceName(i int) string { return string(rune('a' + i)) }

// String is the text form, which ParseScript reads: "devices N SKEW …", perhaps "blind DEVICE",
// and a line for each step, "N AT DEVICE OP ARGS".
func (s *Script) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "devices %d", s.Devices)
	for _, k := range s.Skew {
		fmt.Fprintf(&b, " %d", k)
	}
	b.WriteByte('\n')
	if s.Blind >= 0 {
		fmt.Fprintf(&b, "blind %s\n", deviceName(s.Blind))
	}
	for _, x := range s.Steps {
		b.WriteString(x.String())
		b.WriteByte('\n')
	}
	return b.String()
}

// ParseScript is the inverse of String; empty lines and those that begin with # are comments.
func ParseScript(text string) (*Script, error) {
	s := &Script{Thorough: true, Blind: -1}
	for i, line := range strings.Split(text, "\n") {
		words, err := split(line)
		if err == nil && len(words) > 0 && !strings.HasPrefix(words[0], "#") {
			err = s.parse(words)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	if s.Devices < 1 || len(s.Skew) != s.Devices {
		return nil, fmt.Errorf("no line \"devices N\" with a skew for each")
	}
	return s, nil
}

func (s *Script) parse(w []string) error {
	if w[0] == "devices" {
		for i, x := range w[1:] {
			n, err := strconv.ParseInt(x, 10, 64)
			if err != nil {
				return err
			}
			if i == 0 {
				s.Devices = int(n)
			} else {
				s.Skew = append(s.Skew, n)
			}
		}
		return nil
	}
	if w[0] == "blind" && len(w) == 2 && len(w[1]) == 1 {
		s.Blind = int(w[1][0] - 'a')
		return nil
	}
	if len(w) < 4 || len(w[2]) != 1 {
		return fmt.Errorf("want: number, time, device, operation")
	}
	n, err1 := strconv.Atoi(w[0])
	at, err2 := strconv.ParseInt(w[1], 10, 64)
	x := Step{N: n, At: at, Dev: int(w[2][0] - 'a'), Op: w[3], Args: w[4:]}
	if err1 != nil || err2 != nil || x.Dev < 0 || x.Dev >= s.Devices && x.Dev != twin && x.Dev != joiner || operations[x.Op] == nil {
		return fmt.Errorf("no such step")
	}
	s.Steps = append(s.Steps, x)
	return nil
}

// split cuts a line into words, of which some may be quoted.
func split(line string) (words []string, err error) {
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimSpace(line) {
		word, rest, _ := strings.Cut(line, " ")
		if line[0] == '"' {
			q, err := strconv.QuotedPrefix(line)
			if err != nil {
				return nil, err
			}
			rest = line[len(q):]
			word, _ = strconv.Unquote(q)
		}
		words, line = append(words, word), rest
	}
	return words, nil
}

// arg is the i-th argument, empty if there is none.
func (s *Step) arg(i int) string {
	if i < len(s.Args) {
		return s.Args[i]
	}
	return ""
}

// num is the i-th argument as a number.
func (s *Step) num(i int) int {
	n, _ := strconv.Atoi(s.arg(i))
	return n
}
