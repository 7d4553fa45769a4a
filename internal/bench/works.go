//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// work is something that programs do in a folder, and what Shelf is to reach at it.
type work struct {
	name, unit string
	take       func(s *stage, dir string, round int) (float64, error)
	want       string
	met        func(v []float64) bool
}

const (
	manyFiles  = 10_000
	repository = 50_000 // files of a git work tree
	commits    = 200    // of SQLite
)

var works = []work{
	{"write a large file with fsync", "MB/s", writeWork, "300 MiB/s and half of gocryptfs",
		func(v []float64) bool { return v[shelf] >= max(314.6, v[gocryptfs]/2) }},
	{"read it, caches dropped", "MB/s", readCold, "gocryptfs",
		func(v []float64) bool { return v[shelf] >= v[gocryptfs] }},
	{"read it again, from the page cache", "MB/s", readWarm, "the kernel's: 0.9 of the disk",
		func(v []float64) bool { return v[shelf] >= 0.9*v[disk] }},
	{"cp it, and fsync", "MB/s", copyWork, "the disk",
		func(v []float64) bool { return v[shelf] >= v[disk] }},
	{"create 10,000 files of 4 KiB", "/s", createWork, "5 times gocryptfs",
		func(v []float64) bool { return v[shelf] >= 5*v[gocryptfs] }},
	{"stat them, known to the kernel", "/s", statWork, "the kernel's: 0.8 of the disk",
		func(v []float64) bool { return v[shelf] >= 0.8*v[disk] }},
	{"ls -l of a large folder, caches dropped", "s", listWork, "1 s for 100,000 entries",
		func(v []float64) bool { return v[shelf] <= 1 }},
	{"its first entry", "ms", firstWork, "50 ms",
		func(v []float64) bool { return v[shelf] <= 50 }},
	{"untar a source tree", "s", untarWork, "a fifth of gocryptfs",
		func(v []float64) bool { return v[shelf] <= v[gocryptfs]/5 }},
	{"SQLite commits, rollback journal", "/s", sqlite("DELETE"), "half of the disk",
		func(v []float64) bool { return v[shelf] >= v[disk]/2 }},
	{"SQLite commits, WAL", "/s", sqlite("WAL"), "half of the disk",
		func(v []float64) bool { return v[shelf] >= v[disk]/2 }},
	{"git status of 50,000 files, warm", "s", gitStatus, "1.5 times the disk",
		func(v []float64) bool { return v[shelf] <= 1.5*v[disk] }},
}

func writeWork(s *stage, dir string, round int) (float64, error) {
	d := s.vary(round)
	path := filepath.Join(dir, "large")
	_ = os.Remove(path)
	return rate(float64(len(d))/1e6, func() error { return writeSynced(path, d) })
}

// largeFile is there, in its folder.
func largeFile(s *stage, dir string) (string, error) {
	path := filepath.Join(dir, "large")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	return path, writeSynced(path, s.data)
}

func readCold(s *stage, dir string, _ int) (float64, error) {
	path, err := largeFile(s, dir)
	if err != nil {
		return 0, err
	}
	dropCaches()
	return rate(float64(len(s.data))/1e6, func() error { return readAll(path) })
}

func readWarm(s *stage, dir string, _ int) (float64, error) {
	path, err := largeFile(s, dir)
	if err == nil {
		err = readAll(path)
	}
	if err != nil {
		return 0, err
	}
	return rate(float64(len(s.data))/1e6, func() error { return readAll(path) })
}

// copyWork leaves it to cp how: copy_file_range.
func copyWork(s *stage, dir string, _ int) (float64, error) {
	path, err := largeFile(s, dir)
	if err != nil {
		return 0, err
	}
	to := path + ".copy"
	_ = os.Remove(to)
	return rate(float64(len(s.data))/1e6, func() error {
		if err := command("cp", path, to); err != nil {
			return err
		}
		f, err := os.Open(to)
		if err != nil {
			return err
		}
		return errors.Join(f.Sync(), f.Close())
	})
}

func createWork(_ *stage, dir string, round int) (float64, error) {
	return rate(manyFiles, func() error { return makeFiles(dir, round, manyFiles) })
}

func statWork(_ *stage, dir string, round int) (float64, error) {
	if round == 0 {
		if err := makeFiles(dir, 0, manyFiles); err != nil {
			return 0, err
		}
	}
	stat := func() error {
		for i := range manyFiles {
			if _, err := os.Lstat(fileName(dir, 0, i)); err != nil {
				return err
			}
		}
		return nil
	}
	if err := stat(); err != nil {
		return 0, err
	}
	return rate(manyFiles, stat)
}

// largeFolder has the entries of the stage, and is known to no cache.
func largeFolder(s *stage, dir string) error {
	if _, err := os.Stat(filepath.Join(dir, "many")); err != nil {
		if err := fill(filepath.Join(dir, "many"), s.entries); err != nil {
			return err
		}
	}
	dropCaches()
	return nil
}

func listWork(s *stage, dir string, _ int) (float64, error) {
	if err := largeFolder(s, dir); err != nil {
		return 0, err
	}
	return seconds(func() error { return ls(filepath.Join(dir, "many"), s.entries) })
}

func firstWork(s *stage, dir string, _ int) (float64, error) {
	if err := largeFolder(s, dir); err != nil {
		return 0, err
	}
	sec, err := seconds(func() error {
		f, err := os.Open(filepath.Join(dir, "many"))
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = f.Readdirnames(1)
		return err
	})
	return sec * 1000, err
}

func untarWork(_ *stage, dir string, round int) (float64, error) {
	src, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/libp2p/go-libp2p").Output()
	if err != nil {
		return 0, err
	}
	tarball, err := exec.Command("tar", "-C", string(bytes.TrimSpace(src)), "-cf", "-", ".").Output()
	if err != nil {
		return 0, err
	}
	to := filepath.Join(dir, fmt.Sprint("tree", round))
	if err := os.Mkdir(to, 0o755); err != nil {
		return 0, err
	}
	return seconds(func() error {
		cmd := exec.Command("tar", "-C", to, "-xf", "-")
		cmd.Stdin = bytes.NewReader(tarball)
		return cmd.Run()
	})
}

func sqlite(journal string) func(*stage, string, int) (float64, error) {
	return func(_ *stage, dir string, round int) (float64, error) {
		path := filepath.Join(dir, fmt.Sprint("db", round))
		if err := command("sqlite3", path, "PRAGMA journal_mode="+journal+"; CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT);"); err != nil {
			return 0, err
		}
		var script strings.Builder
		script.WriteString("PRAGMA synchronous=FULL;\n")
		for i := range commits {
			fmt.Fprintf(&script, "INSERT INTO t(b) VALUES('row %d of some length, as rows are');\n", i)
		}
		cmd := exec.Command("sqlite3", "-bail", path)
		cmd.Stdin = strings.NewReader(script.String())
		return rate(commits, cmd.Run)
	}
}

func gitStatus(_ *stage, dir string, round int) (float64, error) {
	tree := filepath.Join(dir, "tree")
	if round == 0 {
		if err := makeRepository(tree); err != nil {
			return 0, err
		}
	}
	status := func() error {
		out, err := exec.Command("git", "-C", tree, "status", "--porcelain").CombinedOutput()
		if err != nil || len(out) > 0 {
			return fmt.Errorf("git status: %v %s", err, out)
		}
		return nil
	}
	if err := status(); err != nil { // which refreshes the index
		return 0, err
	}
	return seconds(status)
}

// makeRepository makes a work tree of many files through git itself.
func makeRepository(dir string) error {
	if err := command("git", "init", "-q", "-b", "main", dir); err != nil {
		return err
	}
	var in bytes.Buffer
	in.WriteString("commit refs/heads/main\ncommitter a <a@b> 1700000000 +0000\ndata 1\nx\n")
	for i := range repository {
		text := fmt.Sprintf("file %d\n", i)
		fmt.Fprintf(&in, "M 100644 inline d%03d/e%d/f%05d\ndata %d\n%s", i/500, i/50%10, i, len(text), text)
	}
	cmd := exec.Command("git", "-C", dir, "fast-import", "--quiet")
	cmd.Stdin = &in
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("git fast-import: %w\n%s", err, out)
	}
	return command("git", "-C", dir, "reset", "-q", "--hard")
}
