package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"
)

// A Target is where a backup lies. Names of objects have slashes. Every call ends in
// bounded time.
type Target interface {
	// String names the target as it was given.
	String() string
	// Put stores an object as a whole and durably, or not at all. It fails when there
	// is one of this name with other bytes.
	Put(ctx context.Context, name string, body io.ReadSeeker, size int64) error
	// Replace stores an object of which was is the present version, empty for one that
	// is not there; else it fails with ErrBusy.
	Replace(ctx context.Context, name string, body []byte, was Version) (Version, error)
	// Get gives an object and its version.
	Get(ctx context.Context, name string) (io.ReadCloser, Version, error)
	// List gives the objects below a prefix that ends with a slash.
	List(ctx context.Context, prefix string) ([]Object, error)
	// Remove removes an object, which may be absent.
	Remove(ctx context.Context, name string) error
	// Lock keeps other writers away until unlock is called, or this process ends. It
	// fails with ErrBusy. The context that it gives ends when the lock is lost.
	Lock(ctx context.Context) (held context.Context, unlock func() error, err error)
}

// Version tells the bytes of an object from others.
type Version string

// Object is an object in a list.
type Object struct {
	Name string    `json:"name"`
	Size int64     `json:"size"`
	Made time.Time `json:"made"`
}

var errAbsent = errors.New("no such object")

const (
	// smallTimeout bounds one request about an object of the size of a segment,
	// largeTimeout one about any: so much that a vault of a million keys passes a line
	// of 1 MB/s.
	smallTimeout = 2 * time.Minute
	largeTimeout = 30 * time.Minute
)

// OpenTarget opens what a person names: s3://bucket/prefix or a folder. It makes no
// request yet.
func OpenTarget(name string, s3 S3) (Target, error) {
	if rest, ok := strings.CutPrefix(name, "s3://"); ok {
		return openBucket(rest, s3)
	}
	if scheme, _, ok := strings.Cut(name, "://"); ok {
		return nil, fmt.Errorf("backup: target %q: %s is not known; a target is a folder or s3://bucket/prefix", name, scheme)
	}
	if name == "" {
		return nil, errors.New("backup: the target is empty; a target is a folder or s3://bucket/prefix")
	}
	path, err := filepath.Abs(name)
	if err != nil {
		return nil, fmt.Errorf("backup: target %q: %w", name, err)
	}
	return folder(path), nil
}
