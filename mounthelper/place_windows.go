package mounthelper

import (
	"errors"
	"io/fs"
	"os"
	"strings"

	"github.com/shelffs/shelf/internal/errs"
)

// drive is a drive letter as a mountpoint: "S:".
func drive(p string) (string, bool) {
	p = strings.ToUpper(strings.TrimSuffix(p, `\`))
	return p, len(p) == 2 && p[1] == ':' && 'A' <= p[0] && p[0] <= 'Z'
}

// vacate leaves nothing at p: WinFsp makes the folder itself.
func vacate(op, p string) error {
	if d, ok := drive(p); ok {
		if _, err := os.Stat(d + `\`); err == nil {
			return errs.E(op, errs.Busy, d, errors.New("this drive letter is in use: choose another"))
		}
		return nil
	}
	if err := emptyDir(op, p); err != nil {
		return err
	}
	if err := os.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return errs.FromOS(op, p, err)
	}
	return nil
}
