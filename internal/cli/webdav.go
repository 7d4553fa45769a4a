package cli

import (
	"net/url"
	"runtime"
)

// showDAV tells how to reach the folder without FUSE.
func (a *app) showDAV(at string) {
	w, err := a.home.WebDAV()
	if err != nil {
		a.note(sentence(err.Error()))
		return
	}
	u, err := url.Parse(at)
	if err != nil {
		a.note(sentence(err.Error()))
		return
	}
	a.say("User %s, password %s (kept in %s).", safe(w.User), safe(w.Password), safe(a.home.WebDAVFile()))
	switch runtime.GOOS {
	case "darwin":
		a.say("In Finder: Go > Connect to Server…, %s", safe(at))
	case "windows":
		a.say("In a command prompt: net use * %s /user:%s", safe(at), safe(w.User))
	default:
		a.say("In a file manager: dav://%s@%s/", safe(w.User), safe(u.Host))
	}
}
