package main

import (
	"bytes"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/eventstore/backup"
)

// said is a log that many goroutines write.
type said struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *said) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// A service makes the backups that it is told to. A target that fails is told in the
// log, in a metric and in /readyz, and stops no command; when it is well, all goes on.
func TestServeMakesBackupsByItself(t *testing.T) {
	alongside(t)
	cfg := testConfig(t)
	log := &said{}
	cfg.Log, cfg.MetricsListen = slog.New(slog.NewTextHandler(log, nil)), "127.0.0.1:0"
	target := filepath.Join(t.TempDir(), "target")
	require.NoError(t, os.WriteFile(target, nil, 0o600)) // no folder can be made there
	cfg.Backup = backupConfig{Target: target, Every: time.Second, flags: backupFlags{Plain: true}}
	s := serveIn(t, cfg)
	c := ownerOf(t, s, "acme")
	metric := func(line string) bool {
		_, text := bodyOf(t, s.MetricsURL)
		return strings.Contains(text, "\n"+line)
	}
	amiss := func() bool {
		_, text := bodyOf(t, s.URL+"/readyz")
		return strings.Contains(text, `"part":"backup"`)
	}
	require.Eventually(t, amiss, patience, 20*time.Millisecond)
	assert.Contains(t, log.String(), `msg="no backup was made" target=`+target)
	assert.False(t, metric(`gatehouse_backup_runs_total{outcome="failed"} 0`))
	assert.True(t, metric(`gatehouse_backup_runs_total{outcome="done"} 0`))
	assert.True(t, metric("gatehouse_backup_size_bytes 0"))
	require.NoError(t, sends(t, c, "RegisterPerson", `{"person":"anna","name":"Anna"}`))
	require.Eventually(t, func() bool { status, _ := bodyOf(t, s.URL+"/readyz"); return status == http.StatusOK }, patience, 10*time.Millisecond)

	require.NoError(t, os.Remove(target))
	require.Eventually(t, func() bool { return !amiss() }, patience, 20*time.Millisecond)
	assert.False(t, metric("gatehouse_backup_size_bytes 0"))
	assert.True(t, metric("gatehouse_backup_age_seconds "))
	require.NoError(t, sends(t, c, "RegisterPerson", `{"person":"ben","name":"Ben"}`))
	head, _ := headOf(t, s, "acme")
	there, err := backup.OpenTarget(target, backup.S3{})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		b, err := backup.Open(t.Context(), there)
		if err != nil {
			return false
		}
		report, err := b.Verify(t.Context())
		return err == nil && report.Heads["acme"].Position == head.Position()
	}, patience, 50*time.Millisecond, "what was committed is in a later one")
	assert.Contains(t, log.String(), `msg="a backup was made" target=`+target)
}

// A target that takes connections and never answers stops neither commands nor the end.
func TestATargetThatHangsStopsNothing(t *testing.T) {
	alongside(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	asked := make(chan net.Conn, 16)
	go func() {
		for conn, err := l.Accept(); err == nil; conn, err = l.Accept() {
			asked <- conn
		}
		close(asked)
	}()
	cfg := testConfig(t)
	cfg.Backup = backupConfig{Target: "s3://backups/here", Every: time.Second, flags: backupFlags{Plain: true,
		backupTarget: backupTarget{S3Endpoint: "http://" + l.Addr().String(), S3Region: "us-east-1"}}}
	s := serveIn(t, cfg)
	conn := <-asked
	require.NoError(t, sends(t, ownerOf(t, s, "acme"), "RegisterPerson", `{"person":"anna","name":"Anna"}`))
	halt(t, s)
	require.NoError(t, conn.Close())
	require.NoError(t, l.Close())
	for conn := range asked {
		require.NoError(t, conn.Close())
	}
}
