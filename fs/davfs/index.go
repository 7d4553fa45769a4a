package davfs

import (
	"html/template"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
)

// index shows a directory to a browser.
func (h *handler) index(w http.ResponseWriter, r *http.Request, f *file) {
	if !strings.HasSuffix(r.URL.Path, "/") {
		http.Redirect(w, r, (&url.URL{Path: r.URL.Path + "/"}).String(), http.StatusMovedPermanently)
		return
	}
	list, err := f.Readdir(-1)
	if err != nil {
		failed(w, requestOf(r.Context()).failed())
		return
	}
	slices.SortFunc(list, func(a, b os.FileInfo) int { return strings.Compare(a.Name(), b.Name()) })
	type entry struct {
		Href, Name string
		Size       int64
		Dir        bool
	}
	page := struct {
		Path    string
		Entries []entry
	}{Path: f.name}
	for _, fi := range list {
		e := entry{Name: fi.Name(), Size: fi.Size(), Dir: fi.IsDir()}
		if e.Dir {
			e.Name += "/"
		}
		e.Href = (&url.URL{Path: "./" + e.Name}).String()
		page.Entries = append(page.Entries, e)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if r.Method != http.MethodHead {
		_ = indexPage.Execute(w, page)
	}
}

var indexPage = template.Must(template.New("index").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{{.Path}}</title>
<style>body{font:16px system-ui,sans-serif;margin:2rem;color-scheme:light dark}td{padding:.2rem 1rem .2rem 0}td:last-child{text-align:right;font-variant-numeric:tabular-nums}</style>
<h1>{{.Path}}</h1>
<table>{{if ne .Path "/"}}<tr><td><a href="../">../</a><td></tr>{{end}}
{{range .Entries}}<tr><td><a href="{{.Href}}">{{.Name}}</a><td>{{if not .Dir}}{{.Size}}{{end}}</tr>
{{end}}</table>
`))
