package backup

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// S3 says how to reach storage that speaks S3. Credentials come from AWS_ACCESS_KEY_ID,
// AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or from the file that
// AWS_SHARED_CREDENTIALS_FILE names: never from a flag, which others see.
type S3 struct {
	Endpoint string        // URL; empty: Amazon's
	Region   string        // empty: that of the environment, or asked for
	Lease    time.Duration // how long a writer that does not answer keeps others away; 0: a minute
}

// A bucket is a target in storage that speaks S3. Two writers are kept apart by
// conditional writes (If-Match and If-None-Match), which that storage must know; the
// lock is a lease, renewed while the writer lives, and the manifest is only replaced
// over the version that was read. So a writer that slept through its lease changes
// nothing.
type bucket struct {
	client *minio.Client
	name   string
	prefix string // without slashes at its ends
	lease  time.Duration
}

func openBucket(rest string, s3 S3) (*bucket, error) {
	name, prefix, _ := strings.Cut(rest, "/")
	endpoint := cmp.Or(s3.Endpoint, "https://s3.amazonaws.com")
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || strings.Trim(u.Path, "/") != "" {
		return nil, fmt.Errorf("backup: S3 endpoint %q: it is written as https://host:port", endpoint)
	}
	if prefix = strings.Trim(prefix, "/"); name == "" || prefix != "" && path.Clean(prefix) != prefix {
		return nil, fmt.Errorf("backup: target s3://%s: it is written as s3://bucket/prefix", rest)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = time.Minute
	transport.DialContext = (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}).DialContext
	client, err := minio.New(u.Host, &minio.Options{
		Creds:     credentials.NewChainCredentials([]credentials.Provider{&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}}),
		Secure:    u.Scheme == "https",
		Region:    cmp.Or(s3.Region, os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION")),
		Transport: transport, MaxRetries: 4,
	})
	if err != nil {
		return nil, fmt.Errorf("backup: target s3://%s: %w", rest, err)
	}
	return &bucket{client, name, prefix, cmp.Or(s3.Lease, time.Minute)}, nil
}

// String names the bucket and the prefix.
func (b *bucket) String() string { return strings.TrimSuffix("s3://"+b.name+"/"+b.prefix, "/") }

func (b *bucket) key(name string) string {
	if b.prefix == "" {
		return name
	}
	return b.prefix + "/" + name
}

// Put implements [Target].
func (b *bucket) Put(ctx context.Context, name string, body io.ReadSeeker, size int64) error {
	_, err := b.put(ctx, name, body, size, minio.PutObjectOptions{})
	return err
}

func (b *bucket) put(ctx context.Context, name string, body io.Reader, size int64, opts minio.PutObjectOptions) (Version, error) {
	opts.ContentType = "application/octet-stream"
	opts.DisableMultipart = size <= maxStored
	info, err := b.client.PutObject(ctx, b.name, b.key(name), body, size, opts)
	return Version(info.ETag), err
}

// Replace implements [Target].
func (b *bucket) Replace(ctx context.Context, name string, body []byte, was Version) (Version, error) {
	ctx, cancel := context.WithTimeout(ctx, smallTimeout)
	defer cancel()
	opts := minio.PutObjectOptions{DisableMultipart: true}
	if was == "" {
		opts.SetMatchETagExcept("*")
	} else {
		opts.SetMatchETag(string(was))
	}
	now, err := b.put(ctx, name, strings.NewReader(string(body)), int64(len(body)), opts)
	if status := minio.ToErrorResponse(err).StatusCode; status == http.StatusPreconditionFailed || status == http.StatusConflict {
		return "", fmt.Errorf("%w: %s/%s was replaced by another writer", ErrBusy, b, name)
	}
	return now, err
}

// Get implements [Target].
func (b *bucket) Get(ctx context.Context, name string) (io.ReadCloser, Version, error) {
	object, err := b.client.GetObject(ctx, b.name, b.key(name), minio.GetObjectOptions{})
	if err != nil {
		return nil, "", err
	}
	info, err := object.Stat()
	if minio.ToErrorResponse(err).Code == minio.NoSuchKey {
		err = errAbsent
	}
	if err != nil {
		return nil, "", errors.Join(err, object.Close())
	}
	return object, Version(info.ETag), nil
}

// List implements [Target].
func (b *bucket) List(ctx context.Context, prefix string) ([]Object, error) {
	ctx, cancel := context.WithTimeout(ctx, smallTimeout)
	defer cancel()
	var all []Object
	below := b.key(prefix)
	for o := range b.client.ListObjects(ctx, b.name, minio.ListObjectsOptions{Prefix: below, Recursive: true}) {
		if o.Err != nil {
			return nil, o.Err
		}
		all = append(all, Object{strings.TrimPrefix(strings.TrimPrefix(o.Key, b.prefix), "/"), o.Size, o.LastModified})
	}
	return all, nil
}

// Remove implements [Target].
func (b *bucket) Remove(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, smallTimeout)
	defer cancel()
	return b.client.RemoveObject(ctx, b.name, b.key(name), minio.RemoveObjectOptions{})
}

var errLeaseLost = errors.New("the lock is lost")

// Lock implements [Target]. A lock that was not renewed for the length of a lease, by
// the clock of the waiting writer, belongs to a writer that is gone.
func (b *bucket) Lock(ctx context.Context) (context.Context, func() error, error) {
	_, was, err := b.lockNow(ctx)
	if err != nil {
		return nil, nil, err
	}
	if was != "" {
		if err := sleep(ctx, b.lease); err != nil {
			return nil, nil, err
		}
		holder, now, err := b.lockNow(ctx)
		if err != nil {
			return nil, nil, err
		}
		if now != "" && now != was {
			return nil, nil, fmt.Errorf("%w: %s writes to %s", ErrBusy, holder, b)
		}
		was = now
	}
	host, _ := os.Hostname()
	name := fmt.Sprintf("process %d of %s, %s", os.Getpid(), host, rand.Text())
	held, lost := context.WithCancelCause(ctx)
	version, err := b.Replace(ctx, "lock", []byte(name+"\n"), was)
	if err != nil {
		lost(nil)
		return nil, nil, err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 1; sleep(held, b.lease/4) == nil; i++ {
			renewing, cancel := context.WithTimeout(held, b.lease/2)
			now, err := b.Replace(renewing, "lock", fmt.Appendf(nil, "%s\n%d\n", name, i), version)
			cancel()
			if err != nil && held.Err() == nil {
				lost(fmt.Errorf("backup: %s: %w: %w", b, errLeaseLost, err))
				return
			}
			version = now
		}
	}()
	return held, func() error {
		lost(nil)
		<-done
		if errors.Is(context.Cause(held), errLeaseLost) {
			return nil // it is another's
		}
		return b.Remove(context.WithoutCancel(ctx), "lock")
	}, nil
}

// lockNow gives who holds the lock and its version; no version: nobody.
func (b *bucket) lockNow(ctx context.Context) (holder string, version Version, err error) {
	ctx, cancel := context.WithTimeout(ctx, smallTimeout)
	defer cancel()
	r, version, err := b.Get(ctx, "lock")
	if errors.Is(err, errAbsent) {
		return "", "", nil
	}
	if err != nil {
		return "", "", fmt.Errorf("backup: look for the lock of %s: %w", b, err)
	}
	defer r.Close()
	text, err := io.ReadAll(io.LimitReader(r, 1024))
	holder, _, _ = strings.Cut(string(text), ",")
	return holder, version, err
}

// sleep waits unless the context ends.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
