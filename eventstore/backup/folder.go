package backup

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"gatehouse/durable"
)

// A folder is a target on a file system. Its files are readable by their owner alone,
// because a plain backup is as secret as the ledger.
type folder string

// String names the folder.
func (f folder) String() string { return string(f) }

func (f folder) path(name string) string { return filepath.Join(string(f), filepath.FromSlash(name)) }

// draftMark is in the names of files that are being written. The next writer removes
// those that a killed writer left.
const draftMark = ".draft-"

// Put implements [Target].
func (f folder) Put(_ context.Context, name string, body io.ReadSeeker, size int64) error {
	if info, err := os.Stat(f.path(name)); err == nil && info.Size() != size {
		return fmt.Errorf("%s already exists with %d bytes, not %d", f.path(name), info.Size(), size)
	}
	return f.write(name, body)
}

// write writes a draft and renames it. After any crash the file is the old one or the
// new one.
func (f folder) write(name string, body io.Reader) error {
	path := f.path(name)
	if err := f.makeDirs(filepath.Dir(path)); err != nil {
		return err
	}
	draft, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+draftMark+"*")
	if err != nil {
		return err
	}
	_, err = io.Copy(draft, body)
	err = errors.Join(err, draft.Sync(), draft.Close())
	if err == nil {
		err = os.Rename(draft.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(draft.Name()))
	}
	return durable.SyncDir(filepath.Dir(path))
}

// makeDirs makes a folder below the target and syncs it.
func (f folder) makeDirs(dir string) error {
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	if dir != string(f) && strings.HasPrefix(dir, string(f)) {
		if err := f.makeDirs(filepath.Dir(dir)); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(dir))
}

// Replace implements [Target]. The lock keeps others from replacing at the same time.
func (f folder) Replace(ctx context.Context, name string, body []byte, was Version) (Version, error) {
	r, now, err := f.Get(ctx, name)
	if err == nil {
		err = r.Close()
	}
	if err != nil && !errors.Is(err, errAbsent) {
		return "", err
	}
	if now != was {
		return "", fmt.Errorf("%w: %s was replaced by another writer", ErrBusy, f.path(name))
	}
	if err := f.write(name, strings.NewReader(string(body))); err != nil {
		return "", err
	}
	return versionOf(body), nil
}

func versionOf(b []byte) Version { return Version(Hash(sha256.Sum256(b)).String()) }

// Get implements [Target]. Only the manifest, which is small, has a version.
func (f folder) Get(_ context.Context, name string) (io.ReadCloser, Version, error) {
	file, err := os.Open(f.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", errAbsent
	}
	if err != nil || name != manifestName {
		return file, "", err
	}
	sum := sha256.New()
	_, err = io.Copy(sum, io.LimitReader(file, maxManifest))
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, "", errors.Join(err, file.Close())
	}
	return file, Version(Hash(sum.Sum(nil)).String()), nil
}

// List implements [Target].
func (f folder) List(_ context.Context, prefix string) ([]Object, error) {
	var all []Object
	err := filepath.WalkDir(f.path(prefix), func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		name, err := filepath.Rel(string(f), path)
		all = append(all, Object{filepath.ToSlash(name), info.Size(), info.ModTime()})
		return err
	})
	return all, err
}

// Remove implements [Target].
func (f folder) Remove(_ context.Context, name string) error {
	if err := os.Remove(f.path(name)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Lock implements [Target]. The kernel releases the file however the process ends.
func (f folder) Lock(ctx context.Context) (context.Context, func() error, error) {
	if err := f.makeDirs(string(f)); err != nil {
		return nil, nil, err
	}
	file, err := os.OpenFile(f.path("lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		text, _ := io.ReadAll(io.LimitReader(file, 64))
		holder := "another process"
		if pid := strings.TrimSpace(string(text)); pid != "" { // it has not written it yet, right behind taking the lock
			holder = "process " + pid
		}
		return nil, nil, errors.Join(fmt.Errorf("%w: %s writes to %s", ErrBusy, holder, f), file.Close())
	}
	if err := file.Truncate(0); err == nil {
		_, err = fmt.Fprintf(file, "%d\n", os.Getpid())
		if err != nil {
			return nil, nil, errors.Join(err, file.Close())
		}
	}
	return ctx, file.Close, f.removeDrafts()
}

// removeDrafts removes the drafts of killed writers. The caller holds the lock.
func (f folder) removeDrafts() error {
	all, err := f.List(context.Background(), "")
	for _, o := range all {
		if strings.Contains(o.Name, draftMark) {
			err = errors.Join(err, os.Remove(f.path(o.Name)))
		}
	}
	return err
}
