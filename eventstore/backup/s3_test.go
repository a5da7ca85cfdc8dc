package backup

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fakeS3 is the variable by which the test's own program becomes storage that speaks
// S3: it names the file for its address.
const fakeS3 = "GATEHOUSE_TEST_FAKE_S3"

func TestMain(m *testing.M) {
	if file := os.Getenv(fakeS3); file != "" {
		fmt.Fprintln(os.Stderr, serveS3(file))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func serveS3(file string) error {
	backend := s3mem.New()
	if err := backend.CreateBucket("backups"); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if err := os.WriteFile(file+".new", []byte("http://"+l.Addr().String()), 0o600); err != nil {
		return err
	}
	if err := os.Rename(file+".new", file); err != nil {
		return err
	}
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	return http.Serve(l, gofakes3.New(backend).Server())
}

// lifeline is held so that the storage ends with this process, and not before.
var lifeline io.Closer

var storage = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "s3-*")
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "url")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fakeS3+"="+file)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return "", err
	}
	lifeline = stdin
	if err := cmd.Start(); err != nil {
		return "", err
	}
	for range 600 {
		if url, err := os.ReadFile(file); err == nil {
			return string(url), os.RemoveAll(dir)
		}
		time.Sleep(100 * time.Millisecond)
	}
	return "", fmt.Errorf("the storage does not listen")
})

func newBucket(t *testing.T) Target {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", "key")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	url, err := storage()
	require.NoError(t, err)
	target, err := OpenTarget("s3://backups/"+strings.ToLower(t.Name()), S3{Endpoint: url, Region: "us-east-1", Lease: 200 * time.Millisecond})
	require.NoError(t, err)
	return target
}

func TestABackupInS3(t *testing.T) {
	b := newBed(t, newBucket(t))
	_, err := Open(t.Context(), b.target, b.id)
	require.ErrorIs(t, err, ErrNoBackup)
	b.source.everything(t)
	w := b.writer()
	for range 3 {
		_, err := w.Run(t.Context())
		require.NoError(t, err)
		b.source.commit(t, "acme", 20)
	}
	b.run()
	assert.Empty(t, b.verify().Unlisted)

	name := b.open().Manifest().Streams[0].Segments[1].Name
	require.NoError(t, b.target.Remove(t.Context(), name))
	_, err = b.open().Verify(t.Context())
	require.ErrorIs(t, err, ErrMissing)
	require.ErrorContains(t, err, name)
	require.NoError(t, b.target.Put(t.Context(), name, bytes.NewReader([]byte("x")), 1))
	_, err = b.open().Verify(t.Context())
	require.ErrorIs(t, err, ErrDamaged)
	require.ErrorContains(t, err, name)
	_, err = OpenTarget("s3://", S3{})
	require.ErrorContains(t, err, "s3://bucket/prefix")
}

// One writer works at a time; one that is gone keeps the next away for a lease, and one
// that slept through its lease changes nothing.
func TestOneWriterAtATime(t *testing.T) {
	for name, target := range map[string]Target{"folder": newFolder(t), "bucket": newBucket(t)} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, target)
			b.source.everything(t)
			_, unlock, err := target.Lock(t.Context())
			require.NoError(t, err)
			_, err = b.writer().Run(t.Context())
			require.ErrorIs(t, err, ErrBusy)
			require.NoError(t, unlock())
			b.run()
			_, version, err := readManifest(t.Context(), target)
			require.NoError(t, err)
			b.source.commit(t, "acme", 1)
			b.run()
			_, err = target.Replace(t.Context(), manifestName, []byte("an older one"), version)
			require.ErrorIs(t, err, ErrBusy)
			b.verify()
		})
	}
	target := newBucket(t).(*bucket)
	_, err := target.Replace(t.Context(), "lock", []byte("process 1 of a machine that lost its power, x"), "")
	require.NoError(t, err)
	held, unlock, err := target.Lock(t.Context())
	require.NoError(t, err)
	_, version, err := target.lockNow(t.Context())
	require.NoError(t, err)
	for err = ErrBusy; err != nil; { // the holder renews it meanwhile
		_, err = target.Replace(t.Context(), "lock", []byte("another"), version)
		if err != nil {
			_, version, _ = target.lockNow(t.Context())
		}
	}
	<-held.Done()
	require.NoError(t, unlock())
	holder, _, err := target.lockNow(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "another", holder, "the lock of another is not removed")
}
