package config

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/shelffs/shelf/internal/errs"
)

// Ways to show the namespace.
const (
	ViaFUSE   = "fuse"
	ViaWebDAV = "webdav"
)

// CheckVia accepts the ways to show the namespace.
func CheckVia(s string) error {
	if s != ViaFUSE && s != ViaWebDAV {
		return errs.E("config.CheckVia", errs.Invalid, s, errors.New("say fuse or webdav"))
	}
	return nil
}

// WebDAV is where a home's WebDAV server listens and whom it lets in. Clients keep these, so they
// stay the same.
type WebDAV struct {
	Listen   string `json:"listen"` // host:port
	User     string `json:"user"`
	Password string `json:"password"`
}

// WebDAVFile is where it is kept.
func (h Home) WebDAVFile() string { return filepath.Join(string(h), "webdav.json") }

// WebDAV reads the home's, or makes one that listens on any port.
func (h Home) WebDAV() (w WebDAV, err error) {
	b, err := os.ReadFile(h.WebDAVFile())
	if errors.Is(err, fs.ErrNotExist) {
		w = WebDAV{Listen: "127.0.0.1:0", User: "shelf", Password: rand.Text()}
		return w, h.SetWebDAV(w)
	}
	if err != nil {
		return w, errs.FromOS("config.WebDAV", h.WebDAVFile(), err)
	}
	if err := json.Unmarshal(b, &w); err != nil {
		return w, errs.E("config.WebDAV", errs.Invalid, h.WebDAVFile(), errors.New("it cannot be read: remove it, and another one is made"))
	}
	return w, nil
}

// SetWebDAV keeps it.
func (h Home) SetWebDAV(w WebDAV) error {
	b, err := json.MarshalIndent(w, "", "  ")
	if err != nil {
		return errs.E("config.SetWebDAV", errs.Other, "", err)
	}
	return WriteFile(h.WebDAVFile(), append(b, '\n'))
}
