package davfs

import (
	"context"
	"fmt"
	"mime"
	"os"
	"path"
	"time"

	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/internal/namespace"
)

// info is a file's attributes as the library wants them.
type info struct {
	name string
	attr fs.Attr
}

func (i info) Name() string       { return i.name }
func (i info) IsDir() bool        { return i.attr.Kind == namespace.Dir }
func (i info) ModTime() time.Time { return time.Unix(0, i.attr.Mtime) }
func (i info) Sys() any           { return nil }

func (i info) Size() int64 {
	if i.IsDir() {
		return 0
	}
	return i.attr.Size
}

func (i info) Mode() os.FileMode {
	if i.IsDir() {
		return os.ModeDir | dirMode
	}
	return fileMode
}

// ETag changes with the bytes of a file.
func (i info) ETag(context.Context) (string, error) {
	return fmt.Sprintf(`"%x-%x"`, uint64(i.attr.Mtime), i.attr.Size), nil
}

// ContentType is told by the name alone: looking into the file would fetch it.
func (i info) ContentType(context.Context) (string, error) { return contentType(i.name), nil }

func contentType(name string) string {
	if t := mime.TypeByExtension(path.Ext(name)); t != "" {
		return t
	}
	return "application/octet-stream"
}
