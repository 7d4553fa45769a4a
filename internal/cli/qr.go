package cli

import (
	"bytes"
	"os"
	"strings"

	"github.com/mdp/qrterminal/v3"
	"golang.org/x/term"
)

// qrWhen says whether an invitation is shown as a QR code too.
type qrWhen int

const (
	qrIfItFits qrWhen = iota // on a terminal that can show it whole
	qrAlways
	qrNever
)

// maxQR is the longest token that makes a code a camera can read from a screen.
const maxQR = 1000

// showQR prints the code of a token, or says how to get it.
func (v *invitation) showQR(token string) {
	if v.qr == qrNever || len(token) > maxQR || v.qr == qrIfItFits && !isTerminal(v.Stdout) {
		return
	}
	code := qrCode(token)
	if v.qr == qrIfItFits {
		if width, height := terminalSize(v.Stdout); !qrFits(code, token, width, height) {
			v.say("(Too large for this terminal: its QR code. All the same:  %s invite --qr)\n", v.program())
			return
		}
	}
	v.say("%s", code)
}

// qrCode draws text in half blocks, two rows of the code to a line. Upper-case letters take five and a half
// bits instead of eight, and to a token case does not matter.
func qrCode(text string) string {
	var b bytes.Buffer
	qrterminal.GenerateWithConfig(strings.ToUpper(text), qrterminal.Config{
		Level: qrterminal.L, Writer: &b, HalfBlocks: true, QuietZone: 2,
		BlackChar: qrterminal.BLACK_BLACK, WhiteChar: qrterminal.WHITE_WHITE,
		BlackWhiteChar: qrterminal.BLACK_WHITE, WhiteBlackChar: qrterminal.WHITE_BLACK,
	})
	return b.String()
}

// qrFits reports whether a terminal shows the code together with all that follows it: the lines about
// the token, the token itself, and the one of whoever asks to join. Sizes that are not known are 0.
func qrFits(code, token string, width, height int) bool {
	if width <= 0 || height <= 0 {
		return true
	}
	lines := strings.Split(strings.TrimSuffix(code, "\n"), "\n")
	const around = 8
	wrapped := (len("  shelf join ")+len(token))/width + 1
	return len([]rune(lines[0])) <= width && len(lines)+wrapped+around <= height
}

// terminalSize is the size of the terminal that stream is, in characters; 0 where that is not known.
func terminalSize(stream any) (width, height int) {
	if f, ok := stream.(*os.File); ok {
		if w, h, err := term.GetSize(int(f.Fd())); err == nil {
			return w, h
		}
	}
	return 0, 0
}
