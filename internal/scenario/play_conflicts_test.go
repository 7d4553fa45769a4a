package scenario

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shelffs/shelf/internal/control/controlapi"
)

// settler is what an actor can do about conflicts.
type settler interface {
	conflicts() (controlapi.Conflicts, error)
	resolve(path, keep string) error
	onConflict(command string) (home string) // before it is there
	homeDir() string
	words(command string) string // of `shelf COMMAND`; "" where there is no command line
}

func (d *memoryDevice) conflicts() (controlapi.Conflicts, error) {
	return d.dev.Conflicts(context.Background(), "/")
}

func (d *memoryDevice) resolve(path, keep string) error {
	res, err := d.dev.Resolve(context.Background(), controlapi.ResolveRequest{Paths: []string{path}, Keep: keep})
	if err == nil && (len(res.Items) != 1 || res.Items[0].Refused != nil) {
		err = fmt.Errorf("%+v", res)
	}
	return err
}

func (d *memoryDevice) onConflict(command string) string {
	d.start.OnConflict = command
	return d.start.Home.Dir()
}

func (d *memoryDevice) homeDir() string { return d.start.Home.Dir() }

func (d *memoryDevice) words(string) string { return "" }

func conflictsOf(t *testing.T, a actor) controlapi.Conflicts {
	t.Helper()
	c, err := a.(settler).conflicts()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func resolve(t *testing.T, a actor, path, keep string) {
	t.Helper()
	if err := a.(settler).resolve(path, keep); err != nil {
		t.Fatal(err)
	}
}

// apart lets each device work alone, one after the other, and brings them together again.
func apart(d []actor, work ...func(a actor)) {
	for _, a := range d {
		a.away()
	}
	for i, do := range work {
		if do != nil {
			d[i].back()
			do(d[i])
			d[i].away()
		}
	}
	for _, a := range d {
		a.back()
	}
}

// calm waits until nobody lists a conflict.
func calm(t *testing.T, d []actor) {
	t.Helper()
	for _, a := range d {
		eventually(t, 20*time.Second, "no conflicts", func() bool { return len(conflictsOf(t, a).Conflicts) == 0 })
	}
}

// What is said of a conflict tells how it came: one file changed apart, different files of one name, or
// one that was written with both in sight. And where something speaks for one version, that is suggested.
func TestPlayConflictsTellHowTheyCame(t *testing.T) {
	play(t, 2, func(t *testing.T, d []actor) {
		for _, name := range []string{"/edit", "/empty", "/seen"} {
			put(t, d[0], name, "old")
		}
		agree(t, d, "/edit=old", "/empty=old", "/seen=old")
		work := func(who, empty string) func(a actor) {
			return func(a actor) {
				for _, name := range []string{"/edit", "/new", "/seen"} {
					put(t, a, name, "by "+who)
				}
				put(t, a, "/empty", empty)
			}
		}
		apart(d, work("a", "by a"), work("b", ""))
		agree(t, d, "/edit (conflict from a ", "/new (conflict from ", "/empty (conflict from a ", "/seen (conflict from a ")
		put(t, d[0], "/seen", "by a, who saw both")
		agree(t, d, "/seen=by a, who saw both", "/seen (conflict from ")
		for i, a := range d {
			got := map[string]string{}
			for _, c := range conflictsOf(t, a).Conflicts {
				got[c.Path] = fmt.Sprintf("%d versions, files %d and %d, %s", len(c.Versions), c.Versions[0].File, c.Versions[1].File, c.Suggestion.Keep)
			}
			one := []string{"mine", "theirs"}
			for name, want := range map[string]string{
				"/edit": "2 versions, files 0 and 0, both", "/new": "2 versions, files 0 and 1, both",
				"/empty": "2 versions, files 0 and 0, " + one[i], "/seen": "2 versions, files 0 and 0, mine",
			} {
				if got[name] != want {
					t.Errorf("on %d, %s: %s, want %s", i, name, got[name], want)
				}
			}
			words := a.(settler).words("conflicts")
			for _, want := range []string{"\n  It was changed on b and on a apart: neither started from the other's version.\n",
				"\n  The files from a and b got this name apart: neither had been seen where the other got it.\n",
				"\n  a wrote both, this one with the other before it: seen.\n"} {
				if words != "" && !strings.Contains(words, want) {
					t.Errorf("on %d, no %q in\n%s", i, want, words)
				}
			}
		}
	})
}

// Each way out of a conflict, from each side, ends it on both.
func TestPlayResolve(t *testing.T) {
	play(t, 2, func(t *testing.T, d []actor) {
		keeps := []string{"mine", "theirs", "both"}
		each := func(do func(i int, keep, file string)) {
			for i := range d {
				for _, k := range keeps {
					do(i, k, fmt.Sprintf("/%d-%s.txt", i, k))
				}
			}
		}
		write := func(data string) func(a actor) {
			return func(a actor) { each(func(_ int, _, file string) { put(t, a, file, data) }) }
		}
		write("old")(d[0])
		agree(t, d, "/1-both.txt=old")
		apart(d, write("by a"), write("by b!")) // b is the newer: it has the names
		agree(t, d, "/1-both.txt=by b!", "/1-both (conflict from a ")
		for i, a := range d {
			all := conflictsOf(t, a)
			if len(all.Conflicts) != 6 || len(all.Folders) != 1 || all.Folders[0].Count != 6 || fmt.Sprint(all.Folders[0].Devices) != []string{"[b]", "[a]"}[i] {
				t.Fatalf("%+v", all)
			}
			v := all.Conflicts[0].Versions
			if len(v) != 2 || v[0].Device.Name != "b" || v[1].Device.Name != "a" || v[0].Self != (i == 1) || !v[0].Newest || !v[0].Largest ||
				v[0].Size != 5 || v[1].Size != 4 || fmt.Sprint(v[1].Unaware) != "[0]" || all.Conflicts[0].Mine != 1-i {
				t.Errorf("%+v", all.Conflicts[0])
			}
		}
		each(func(i int, keep, file string) { resolve(t, d[i], file, keep) })
		got := agree(t, d, "/0-mine.txt=by a\n", "/0-theirs.txt=by b!\n", "/0-both.txt=by b!\n", "/1-mine.txt=by b!\n", "/1-theirs.txt=by a", "/1-both.txt=by b!\n")
		if n := strings.Count(got, "conflict from"); n != 2 || strings.Count(got, "\n") != 7 {
			t.Errorf("only what was kept beside its file is beside one:\n%s", got)
		}
		calm(t, d)
	})
}

// What to keep can be said without having its bytes, and while the device that has them is away.
func TestPlayResolveWithoutTheBytes(t *testing.T) {
	play(t, 2, func(t *testing.T, d []actor) {
		put(t, d[0], "/f", "old")
		agree(t, d, "/f=old")
		apart(d, func(a actor) { put(t, a, "/f", strings.Repeat("a", 300_000)) }, func(a actor) { put(t, a, "/f", "b") })
		for _, a := range d {
			eventually(t, 20*time.Second, "the conflict is known", func() bool { return len(conflictsOf(t, a).Conflicts) == 1 })
		}
		moved := d[1].blocksIn()
		d[0].away()
		resolve(t, d[1], "/f", "theirs")
		if st, err := d[1].sys().Lstat("/f"); err != nil || st.Size != 300_000 {
			t.Errorf("%+v %v", st, err)
		}
		if n := d[1].blocksIn(); n != moved {
			t.Errorf("%d blocks moved", n-moved)
		}
		d[0].back()
		agree(t, d, "/f=aaaa")
		calm(t, d)
	})
}

// Three devices: three versions of one file, three files made under one name, a removal against an
// edit, a burst in one folder. The third device decides about two versions of others.
func TestPlayConflictsOfThree(t *testing.T) {
	play(t, 3, func(t *testing.T, d []actor) {
		for _, dir := range []string{"/photos", "/photos/2024"} {
			if err := d[0].sys().Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		put(t, d[0], "/edited", "old")
		put(t, d[0], "/removed", "old")
		shots := make([]string, 14)
		for i := range shots {
			shots[i] = fmt.Sprintf("/photos/2024/%02d.jpg", i)
			put(t, d[0], shots[i], "raw")
		}
		agree(t, d, "/edited=old", "/removed=old", "/photos/2024/13.jpg=raw")
		by := func(name string, also func(a actor)) func(a actor) {
			return func(a actor) {
				put(t, a, "/edited", "by "+name)
				put(t, a, "/made", "by "+name)
				also(a)
			}
		}
		touch := func(data string) func(a actor) {
			return func(a actor) {
				for _, s := range shots {
					put(t, a, s, data)
				}
			}
		}
		apart(d,
			by("a", touch("brighter")),
			by("b", touch("darker")),
			by("c", func(a actor) {
				if err := a.sys().Unlink("/removed"); err != nil {
					t.Fatal(err)
				}
			}))
		got := agree(t, d, "/edited=by c", "/edited (conflict from a ", "/edited (conflict from b ", "/made=by a", "/made (conflict from b ", "/made (conflict from c ")
		if strings.Contains(got, "/removed") {
			t.Errorf("a removed file is back:\n%s", got)
		}
		for i, a := range d {
			all := conflictsOf(t, a)
			others := [][]string{{"b"}, {"a"}, {"a", "b"}}[i]
			if len(all.Folders) != 2 || all.Folders[0].Path != "/" || all.Folders[0].Count != 2 ||
				all.Folders[1].Path != "/photos/2024" || all.Folders[1].Count != 14 || !slices.Equal(all.Folders[1].Devices, others) {
				t.Errorf("%+v", all.Folders)
			}
			if out := a.(settler).words("conflicts"); out != "" && (!strings.Contains(out, "14 conflicts in /photos/2024, from "+strings.Join(others, " and ")+", ") || strings.Contains(out, "03.jpg")) {
				t.Errorf("a burst takes one line:\n%s", out)
			}
			if out := a.(settler).words("status"); out != "" && !strings.Contains(out, "16 files were changed on several devices at once") {
				t.Error(out)
			}
		}
		// c, which wrote none of the pictures, keeps what has the name of one and the other of the next.
		resolve(t, d[2], shots[0], "mine")
		resolve(t, d[2], shots[1], "theirs")
		// a keeps b's version of the edited file: the two are settled, c's has gone, a's is left beside.
		for _, v := range conflictsOf(t, d[0]).Conflicts[0].Versions {
			if v.Device.Name == "b" {
				resolve(t, d[0], v.Path, "theirs")
			}
		}
		resolve(t, d[1], "/made", "mine")
		got = agree(t, d, "/photos/2024/00.jpg=darker", "/photos/2024/01.jpg=brighter", "/edited=by ", "/made=by b")
		if strings.Contains(got, "/00 (conflict") || strings.Contains(got, "/01 (conflict") || strings.Contains(got, "/made (conflict") {
			t.Errorf("still there:\n%s", got)
		}
		if n := len(conflictsOf(t, d[1]).Conflicts); n != 13 {
			t.Errorf("%d conflicts are left, want 12 pictures and one file", n)
		}
	})
}

// The command of the settings hears of a burst once for each folder.
func TestHookHearsOfConflicts(t *testing.T) {
	for name, stage := range stages() {
		t.Run(name, func(t *testing.T) {
			cast := stage(t)
			a, b := cast("a"), cast("b")
			a.create()
			const hook = `cat >> events; echo "$SHELF_FOLDER $SHELF_COUNT $SHELF_DEVICES" >> lines`
			home := b.(settler).onConflict(hook)
			heard := func(file string) string {
				b, _ := os.ReadFile(filepath.Join(home, file))
				return string(b)
			}
			a.admit(b)
			d := []actor{a, b}
			if err := a.sys().Mkdir("/docs", 0o755); err != nil {
				t.Fatal(err)
			}
			files := []string{"/x", "/docs/1", "/docs/2", "/docs/3"}
			write := func(data string) func(actor) {
				return func(a actor) {
					for _, f := range files {
						put(t, a, f, data)
					}
				}
			}
			write("old")(a)
			agree(t, d, "/docs/3=old", "/x=old")
			apart(d, write("by a"), write("by b"))
			eventually(t, 30*time.Second, "both folders are told", func() bool { return heard("lines") == "/ 1 a\n/docs 3 a\n" })
			var last controlapi.ConflictEvent
			for line := range strings.Lines(heard("events")) {
				if err := json.Unmarshal([]byte(line), &last); err != nil {
					t.Fatal(err)
				}
			}
			if last.Event != "conflict" || last.Folder != "/docs" || last.Count != 3 || len(last.Conflicts) != 3 || path.Base(last.Conflicts[0].Path) != "1" {
				t.Errorf("%+v", last)
			}
		})
	}
}

// The same bytes are no conflict either when one device wrote the file anew and the other changed,
// appended to and shortened what was there; nor does reading make one.
func TestPlayEqualBytesByOtherWays(t *testing.T) {
	play(t, 2, func(t *testing.T, d []actor) {
		line := func(i int) string {
			return fmt.Sprintf("line %d of a file that is longer than a few blocks\n", i*i*7919)
		}
		var text strings.Builder
		for i := range 30_000 {
			text.WriteString(line(i))
		}
		whole := text.String()
		put(t, d[0], "/f", whole[:len(whole)/2]+"and so on, differently")
		agree(t, d, "/f=line 0")
		if _, err := get(d[1], "/f"); err != nil {
			t.Fatal(err)
		}
		want := whole[:700_000] + "changed" + whole[700_007:]
		apart(d, func(a actor) { put(t, a, "/f", want) }, func(a actor) {
			f, err := a.sys().Open("/f", os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			half := int64(len(whole) / 2)
			for _, w := range []struct {
				at   int64
				data string
			}{{half, whole[half:]}, {int64(len(whole)), "too much"}, {700_000, "changed"}} {
				if _, err := f.Pwrite([]byte(w.data), w.at); err != nil {
					t.Fatal(err)
				}
			}
			if err := f.Truncate(int64(len(whole))); err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
		})
		for range 2 {
			for _, a := range d {
				if got, err := get(a, "/f"); err != nil || got != want {
					t.Errorf("%d bytes, %v", len(got), err)
				}
			}
			for i, a := range d { // written after it, so it comes after it
				put(t, a, fmt.Sprint("/after-", i), "x")
			}
			if got := agree(t, d, "/after-0=x", "/after-1=x", "/f=line 0"); strings.Count(got, "\n") != 2 {
				t.Errorf("one file expected:\n%s", got)
			}
		}
		calm(t, d)
	})
}

// To save a file without having changed it is no edit: another device's edit stands, whichever came first.
func TestPlaySavingWhatWasThere(t *testing.T) {
	play(t, 2, func(t *testing.T, d []actor) {
		for _, name := range []string{"/first", "/second"} {
			put(t, d[0], name, "as it was")
		}
		agree(t, d, "/first=as it was", "/second=as it was")
		write := func(name, data string) func(actor) { return func(a actor) { put(t, a, name, data) } }
		apart(d, write("/first", "changed"), write("/first", "as it was"))
		apart(d, write("/second", "as it was"), write("/second", "changed"))
		agree(t, d, "/first=changed", "/second=changed")
		calm(t, d)
	})
}

// What resolve says about taking it back is true, for a copy that was dropped and for a file whose
// name another version has got. (What a device drops of its own within two seconds leaves no history.)
func TestPlayResolveIsUndone(t *testing.T) {
	play(t, 2, func(t *testing.T, d []actor) {
		for i, a := range d {
			file := fmt.Sprint("/by-", i)
			put(t, d[0], file, "old")
			agree(t, d, file+"=old")
			apart(d, func(a actor) { put(t, a, file, "by a") }, func(a actor) { put(t, a, file, "by b") })
			agree(t, d, file+" (conflict from a ")
			resolve(t, a, file, "mine")
			calm(t, d)
			if a.(settler).words("undo") == "" { // there is no command line
				continue
			}
			has := func(version string) func() bool {
				return func() bool {
					for line := range strings.Lines(tree(d[1-i], "/")) {
						if strings.HasPrefix(line, file) && strings.HasSuffix(strings.TrimSpace(line), "="+version) {
							return true
						}
					}
					return false
				}
			}
			eventually(t, 20*time.Second, "what was dropped is back", has([]string{"by b", "by a"}[i]))
		}
	})
}
