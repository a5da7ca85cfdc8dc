package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/cmd/gatehouse/client"
)

// A smallDisk is a file system of 48 MiB that one process has to itself. It needs no
// rights where the kernel lets users have namespaces.
type smallDisk struct{ root string }

// inSmallDisk makes a command whose directory $DIR is a small disk, and that runs the
// shell text.
func inSmallDisk(dir, text string, args ...string) *exec.Cmd {
	c := exec.Command("sh", append([]string{"-c", `mount -t tmpfs -o size=48m none "$DIR" && ` + text, "sh"}, args...)...)
	c.Env = append(os.Environ(), "DIR="+dir)
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}}
	return c
}

// fill leaves so many bytes on the disk, and no bytes when there are fewer.
func (d smallDisk) fill(t *testing.T, leave int64) {
	t.Helper()
	var st syscall.Statfs_t
	require.NoError(t, syscall.Statfs(d.root, &st))
	f, err := os.OpenFile(d.ballast(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	require.NoError(t, err)
	defer f.Close()
	_, err = io.CopyN(f, zeros{}, int64(st.Bavail)*int64(st.Bsize)-leave)
	if err != nil {
		require.ErrorIs(t, err, syscall.ENOSPC)
	}
}

func (d smallDisk) ballast() string { return filepath.Join(d.root, "ballast") }

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// A service whose disk fills up reports it and keeps the rest for commands that take
// access away. It then commits nothing, and continues by itself when there is room.
// Everything that was acknowledged is there, and refused commands can be sent again.
func TestAFullDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if out, err := inSmallDisk(dir, "true").CombinedOutput(); err != nil {
		absent(t, fmt.Sprintf("this kernel gives no user namespace with a file system (%v %s): a full disk is not tried, but by the tests of eventstore", err, out))
		return
	}
	file := filepath.Join(t.TempDir(), "url")
	p := &process{t: t, cmd: inSmallDisk(dir, `exec gatehouse serve --data "$DIR/data" --listen 127.0.0.1:0 --url-file "$1" --log-level error`, file)}
	p.cmd.Stderr = t.Output()
	require.NoError(t, p.cmd.Start())
	p.killAtEnd()
	require.Eventually(t, func() bool {
		b, err := os.ReadFile(file)
		p.url = strings.TrimSpace(string(b))
		return err == nil
	}, patience, 10*time.Millisecond)
	disk := smallDisk{fmt.Sprintf("/proc/%d/root%s", p.cmd.Process.Pid, dir)}
	p.data = filepath.Join(disk.root, "data")
	c := newClient(p.url, firstOrg(t, p), "acme", "")
	metrics := newClient(p.url, metricsToken(t, c), "acme", "")
	kept := &sent{Key: client.NewKey(), Person: "anna"}
	require.True(t, kept.send(t, c.SendOnce))
	const many = 100
	crowd := make([]string, many)
	for i := range crowd {
		crowd[i] = fmt.Sprintf(`{"person":"c%d"}`, i)
	}
	_, err := c.Command(t.Context(), "RegisterPerson", []byte("["+strings.Join(crowd, ",")+"]"), "", nil)
	require.NoError(t, err)

	disk.fill(t, 8<<20)
	awaits(t, metrics, "almost full")
	late := &sent{Key: client.NewKey(), Person: "bo"}
	assert.Equal(t, "storage_full", late.refused(t, c))
	require.NoError(t, sends(t, c, "SuspendPerson", `{"person":"anna"}`), "what takes access away has the reserve")

	disk.fill(t, 0)
	code, taken, key := "", 0, ""
	for ; code == "" && taken < many; taken++ { // each uses up some of what is left
		key = client.NewKey()
		code = codeOf(t, c, key, "SuspendPerson", crowd[taken])
	}
	assert.Equal(t, "unsettled", code, "that which met the end of the disk")
	awaits(t, metrics, "nothing is committed until there is room")
	assert.Equal(t, "storage_full", late.refused(t, c))
	var anna struct{ Name string }
	require.NoError(t, c.Get(t.Context(), c.OrgPath("people", "anna"), nil, &anna))
	assert.Equal(t, "Name of anna", anna.Name, "what is known is answered")

	require.NoError(t, os.Remove(disk.ballast()))
	awaits(t, metrics, `"troubles":[]`)
	settle(t, c, []*sent{kept, late})
	assert.False(t, late.Answer.Repeated)
	assert.Empty(t, codeOf(t, c, key, "SuspendPerson", crowd[taken-1]))
	for i := range taken {
		var one struct{ State string }
		require.NoError(t, c.Get(t.Context(), c.OrgPath("people", fmt.Sprint("c", i)), nil, &one))
		assert.Equal(t, "suspended", one.State)
	}
	var bo struct{ Name string }
	require.NoError(t, c.Get(t.Context(), c.OrgPath("people", "bo"), nil, &bo))
	assert.Equal(t, "Name of bo", bo.Name)
	p.stop()
}

// A service that is killed on a full disk, and started again on it, answers questions
// and decides as before. It says so, takes nothing that adds, and goes on by itself when
// there is room: what was acknowledged is there.
func TestAStartOnAFullDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if out, err := inSmallDisk(dir, "true").CombinedOutput(); err != nil {
		absent(t, fmt.Sprintf("this kernel gives no user namespace with a file system (%v %s): a start on a full disk is not tried", err, out))
		return
	}
	file := filepath.Join(t.TempDir(), "url")
	p := &process{t: t, cmd: inSmallDisk(dir, `serve="serve --data $DIR/data --listen 127.0.0.1:0 --log-level error"
		gatehouse $serve --url-file "$1"; exec gatehouse $serve --url-file "$1.again"`, file)}
	p.cmd.Stderr = t.Output()
	require.NoError(t, p.cmd.Start())
	p.killAtEnd()
	url := func(file string) (url string) {
		require.Eventually(t, func() bool {
			b, err := os.ReadFile(file)
			url = strings.TrimSpace(string(b))
			return err == nil
		}, patience, 10*time.Millisecond)
		return url
	}
	p.url = url(file)
	disk := smallDisk{fmt.Sprintf("/proc/%d/root%s", p.cmd.Process.Pid, dir)}
	p.data = filepath.Join(disk.root, "data")
	c := newClient(p.url, firstOrg(t, p), "acme", "")
	kept := &sent{Key: client.NewKey(), Person: "anna"}
	require.True(t, kept.send(t, c.SendOnce))
	for _, cmd := range [][2]string{
		{"CreateSite", `{"site":"north","name":"North","zone":"UTC"}`},
		{"CreateDoor", `{"door":"gate","site":"north","name":"Gate","kind":"gate"}`},
		{"DefineAccessRight", `{"right":"all","name":"All","doors":["gate"],"schedule":"always"}`},
		{"GrantRight", `{"grant":"g","person":"anna","right":"all"}`},
	} {
		require.NoError(t, sends(t, c, cmd[0], cmd[1]), cmd[0])
	}
	opens := func(c *client.Client) (allowed bool, err error) {
		var answer struct{ Allowed bool }
		err = c.Ask(t.Context(), client.Request{Method: "POST", Path: c.OrgPath("sites", "north", "decisions"), Body: []byte(`{"person":"anna","door":"gate"}`)}, &answer)
		return answer.Allowed, err
	}
	require.Eventually(t, func() bool { allowed, err := opens(c); return err == nil && allowed }, patience, 10*time.Millisecond)
	metrics := metricsToken(t, c)
	lock, err := os.ReadFile(filepath.Join(p.data, "lock"))
	require.NoError(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(lock)))
	require.NoError(t, err)
	disk.fill(t, 0)
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))

	again := newClient(url(file+".again"), c.Token, "acme", "")
	awaits(t, newClient(again.Base, metrics, "acme", ""), "until there is room")
	var anna struct{ Name string }
	require.NoError(t, again.Get(t.Context(), again.OrgPath("people", "anna"), nil, &anna))
	assert.Equal(t, "Name of anna", anna.Name)
	require.Eventually(t, func() bool { allowed, err := opens(again); return err == nil && allowed }, patience, 10*time.Millisecond, "the door opens as before")
	late := &sent{Key: client.NewKey(), Person: "bo"}
	assert.Equal(t, "storage_full", late.refused(t, again))
	require.NoError(t, os.Remove(disk.ballast()))
	awaits(t, newClient(again.Base, metrics, "acme", ""), `"troubles":[]`)
	settle(t, again, []*sent{kept, late})
	p.stop()
}

// awaits waits until /readyz says something.
func awaits(t *testing.T, c *client.Client, what string) {
	t.Helper()
	require.Eventually(t, func() bool {
		body, err := readiness(t.Context(), c)
		said := string(body)
		if err != nil {
			said = err.Error()
		}
		return strings.Contains(said, what)
	}, patience, 20*time.Millisecond, what)
}

// metricsToken issues a token by which the whole readiness is told.
func metricsToken(t *testing.T, c *client.Client) string {
	t.Helper()
	var made struct{ Token string }
	body := fmt.Sprintf(`{"person":"olga","scope":"metrics","expires":%q}`, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	require.NoError(t, c.Ask(t.Context(), client.Request{Method: "POST", Path: c.OrgPath("tokens"), Body: []byte(body)}, &made))
	return made.Token
}

// refused sends the command once and returns the code by which it is turned away.
func (s *sent) refused(t *testing.T, c *client.Client) string {
	return codeOf(t, c, s.Key, "RegisterPerson", fmt.Sprintf(`{"person":%q,"name":%q}`, s.Person, "Name of "+s.Person))
}

// codeOf sends a command once; the code is empty when it is taken.
func codeOf(t *testing.T, c *client.Client, key, name, fields string) string {
	_, err := c.SendOnce(t.Context(), client.Request{Method: "POST", Path: c.OrgPath("commands", name), Body: []byte(fields), Key: key})
	if answer, ok := errors.AsType[*client.AnswerError](err); ok {
		return answer.Code
	}
	require.NoError(t, err)
	return ""
}
