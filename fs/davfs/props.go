package davfs

import (
	"encoding/xml"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/net/webdav"

	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace"
)

// Properties that clients set are extended attributes: the name is propPrefix, the local name,
// "@" and the namespace; the value is the language, a zero byte and the XML within the element.
const (
	propPrefix = "user.dav."
	maxAttr    = 255 // bytes of a name
)

func attrOf(n xml.Name) string { return propPrefix + n.Local + "@" + n.Space }

func propOf(attr string) (n xml.Name, ok bool) {
	rest, ok := strings.CutPrefix(attr, propPrefix)
	if !ok {
		return n, false
	}
	n.Local, n.Space, ok = strings.Cut(rest, "@")
	return n, ok
}

// DeadProps returns what clients have set, and of a folder the space there is (RFC 4331).
func (f *file) DeadProps() (map[xml.Name]webdav.Property, error) {
	out := map[xml.Name]webdav.Property{}
	err := f.t.find(f.ctx, f.name, func(i fs.Ino, _ fs.Attr) error {
		attrs, err := f.t.fs.Listxattr(f.ctx, i)
		if err != nil {
			return err
		}
		for _, a := range attrs {
			n, ok := propOf(a)
			if !ok {
				continue
			}
			v, err := f.t.fs.Getxattr(f.ctx, i, a)
			if errs.Is(err, errs.NoAttr) {
				continue
			}
			if err != nil {
				return err
			}
			lang, inner, _ := strings.Cut(string(v), "\x00")
			out[n] = webdav.Property{XMLName: n, Lang: lang, InnerXML: []byte(inner)}
		}
		return nil
	})
	if f.info.IsDir() {
		u := f.t.fs.Statfs(f.ctx)
		for local, bytes := range map[string]uint64{"quota-available-bytes": u.Avail, "quota-used-bytes": u.Total - min(u.Free, u.Total)} {
			n := xml.Name{Space: "DAV:", Local: local}
			out[n] = webdav.Property{XMLName: n, InnerXML: strconv.AppendUint(nil, bytes, 10)}
		}
	}
	return out, told(f.ctx, "proppatch", f.name, err)
}

// Patch sets and removes properties: all of them, or none if one cannot be.
func (f *file) Patch(patches []webdav.Proppatch) ([]webdav.Propstat, error) {
	good, bad := webdav.Propstat{Status: http.StatusOK}, webdav.Propstat{Status: http.StatusForbidden}
	for _, p := range patches {
		for _, x := range p.Props {
			to := &good
			if len(attrOf(x.XMLName)) > maxAttr || x.XMLName.Space == "DAV:" { // the latter are the server's
				to = &bad
			}
			to.Props = append(to.Props, webdav.Property{XMLName: x.XMLName})
		}
	}
	if len(bad.Props) > 0 {
		if len(good.Props) == 0 {
			return []webdav.Propstat{bad}, nil
		}
		good.Status = webdav.StatusFailedDependency
		return []webdav.Propstat{bad, good}, nil
	}
	err := f.t.find(f.ctx, f.name, func(i fs.Ino, _ fs.Attr) error {
		for _, p := range patches {
			for _, x := range p.Props {
				if err := f.patch(i, x, p.Remove); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return []webdav.Propstat{good}, told(f.ctx, "proppatch", f.name, err)
}

func (f *file) patch(i fs.Ino, x webdav.Property, remove bool) error {
	if !remove {
		return f.t.fs.Setxattr(f.ctx, i, attrOf(x.XMLName), []byte(x.Lang+"\x00"+string(x.InnerXML)), namespace.XattrAny)
	}
	err := f.t.fs.Removexattr(f.ctx, i, attrOf(x.XMLName))
	if errs.Is(err, errs.NoAttr) { // RFC 4918, 14.23: not an error
		return nil
	}
	return err
}
