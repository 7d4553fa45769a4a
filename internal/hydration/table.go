package hydration

import (
	"strings"
	"time"
)

const (
	// grepBudget lets somebody look through a folder of texts and not through all photos.
	grepBudget = 256 << 20
	// backgroundWait is how long programs wait that nobody waits for.
	backgroundWait = 5 * time.Second
)

// Defaults are the rules that hold where the owner has made none. The first that is about a program
// counts.
//
// Whatever goes through all files without a person's having asked for these is refused. Backups are,
// too: a copy of what other devices keep, brought here first, is seldom meant, and a backup tool tells
// what it could not read; to back up from this device, pin the files, or allow the program. Who shows
// previews, or reads what is in a file's head, gets what it reads. Tools by which people copy whole
// folders are allowed: that is meant.
func Defaults() []Rule {
	var out []Rule
	add := func(r Rule, programs string) {
		for p := range strings.FieldsSeq(programs) {
			r.Program = strings.ReplaceAll(p, "_", " ")
			out = append(out, r)
		}
	}
	add(Rule{Action: Allow, Kind: "a tool to copy files"},
		`cp mv rsync rclone scp sftp-server tar bsdtar zip 7z git unison`)
	add(Rule{Action: Refuse, Kind: "a file indexer"},
		`updatedb updatedb.* mlocate plocate tracker-miner-* tracker-extract* localsearch* baloo* recollindex zeitgeist-* akonadi-indexing* strigi* beagled`)
	add(Rule{Action: Refuse, Kind: "a virus scanner"},
		`clamd clamscan clamdscan clamonacc freshclam maldet rkhunter chkrootkit savd savscan sav-protect* esets_* falcon-sensor* wdavdaemon mdatp`)
	add(Rule{Action: Refuse, Kind: "a backup tool"},
		`borg borgmatic restic rustic rsnapshot rdiff-backup duplicity duplicati* deja-dup* kup-* kopia timeshift* backintime* bacula-fd bareos-fd vorta pika-backup* tarsnap burp urbackup* bupstash bup`)
	add(Rule{Action: Exact, Wait: backgroundWait, Kind: "a maker of previews"},
		`tumblerd *thumbnail* glycin-* kioslave* kioworker`)
	add(Rule{Action: Exact, Kind: "a file manager"},
		`nautilus nemo caja thunar Thunar dolphin pcmanfm* spacefm krusader`)
	add(Rule{Action: Exact, Kind: "a media server"},
		`Plex_Media* jellyfin* emby* minidlnad rygel* gerbera kodi*`)
	add(Rule{Action: Exact, Kind: "a reader of what files say about themselves"},
		`file exiftool mediainfo ffprobe`)
	add(Rule{Action: Budget, Bytes: grepBudget, Wait: backgroundWait, Kind: "a search through files"},
		`rg ag ack ugrep`)
	add(Rule{Action: Budget, Bytes: grepBudget, Wait: backgroundWait, Kind: "a search through files", Recursive: true},
		`grep egrep fgrep rgrep`)
	return out
}
