package programtest

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TPM is a TPM 2.0 in software, by Debian's package swtpm. Its state outlives a restart.
type TPM struct {
	Path string // of its socket

	t   testing.TB
	dir string
	cmd *exec.Cmd
}

// StartTPM starts a TPM, which ends with the test.
func StartTPM(t testing.TB) *TPM {
	t.Helper()
	dir, err := os.MkdirTemp("", "tpm") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	s := &TPM{t: t, dir: dir, Path: filepath.Join(dir, "socket")}
	t.Cleanup(func() {
		s.stop()
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	s.start()
	return s
}

// Restart takes the power from the TPM and gives it back.
func (s *TPM) Restart() {
	s.t.Helper()
	s.stop()
	s.start()
}

func (s *TPM) start() {
	s.t.Helper()
	s.cmd = exec.Command(Find(s.t, "swtpm", "swtpm"), "socket", "--tpm2", "--tpmstate", "dir="+s.dir, "--server", "type=unixio,path="+s.Path, "--flags", "startup-clear")
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	for range 6000 {
		// The socket is there before anybody listens on it.
		if c, err := net.Dial("unix", s.Path); err == nil {
			if err := c.Close(); err != nil {
				s.t.Fatal(err)
			}
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	s.t.Fatal("swtpm does not listen")
}

func (s *TPM) stop() {
	if s.cmd == nil || s.cmd.Process == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
	_ = os.Remove(s.Path)
}
