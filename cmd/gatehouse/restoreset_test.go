package main

import (
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/deploy"
	"gatehouse/eventstore/streams"
)

// emptied is the set with nothing but the keys and its three servers, which are empty.
func (s *theSet) emptied() {
	s.t.Helper()
	require.NoError(s.t, s.Down(context.Background()))
	for _, volume := range []string{"n1-store", "n2-store", "n3-store", "a-data", "b-data"} {
		require.NoError(s.t, os.Rename(filepath.Join(s.Dir, volume), filepath.Join(s.Dir, volume+"-old")))
	}
	servers := *s.Compose
	servers.Services = maps.Clone(s.Compose.Services)
	for name := range s.Compose.Services {
		if s.Compose.Services[name].Runs() != "nats" && name != "keys" {
			delete(servers.Services, name)
		}
	}
	only := &deploy.Set{Compose: &servers, Dir: s.Dir, FreePorts: true, Say: s.said, Programs: s.Programs}
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	require.NoError(s.t, only.Up(ctx))
}

// restore runs the verb as a process, with the environment of the instance that holds
// the vault.
func (s *theSet) restore(args ...string) (string, error) {
	s.t.Helper()
	secrets := filepath.Join(s.Dir, "service-keys")
	cmd := exec.Command("gatehouse", append([]string{"restore", "--data", filepath.Join(s.Dir, "a-data"), "--vault-key-file", filepath.Join(secrets, "vault.key"),
		"--nats-url", "nats://" + s.Address("n1", "4222"), "--replicas", "3",
		"--nats-nkey", filepath.Join(secrets, "service.nk"), "--nats-system-nkey", filepath.Join(secrets, "system.nk")}, args...)...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// A backup of one cluster is restored into another that is empty. That works also where
// a restore was begun there and not ended. A cluster with data already in it is not
// touched.
func TestARestoreIntoAnEmptyCluster(t *testing.T) {
	s := startSet(t)
	s.done(s.b, "RegisterPerson", `{"person":"anna","name":"Anna"}`)
	at := s.done(s.b, "RegisterPerson", `{"person":"bo","name":"Bo"}`)
	target, old := filepath.Join(s.Dir, "target"), filepath.Join(s.Dir, "a-data")
	require.Equal(t, "Bo", s.name(s.a, "bo", at))
	out, err := exec.Command("gatehouse", "backup", target, "--data", old, "--plain").CombinedOutput()
	require.NoError(t, err, "%s", out)
	witness := filepath.Join(s.Dir, "a-data-old")
	operator := filepath.Join(s.Dir, "operator-keys", "operator.nk")

	s.emptied()
	require.NoError(t, os.MkdirAll(old, 0o700))
	said, err := s.restore(target, "--witness", witness)
	require.Error(t, err)
	assert.Contains(t, said, "--nats-operator-nkey")
	login, err := loginOf("", "", operator)
	require.NoError(t, err)
	conn, err := nats.Connect("nats://"+s.Address("n1", "4222"), login...)
	require.NoError(t, err)
	defer conn.Close()
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return streams.BeginRestore(t.Context(), js, 3, "another") == nil }, patience, 100*time.Millisecond, "a restore that was killed")

	said, err = s.restore(target, "--witness", witness, "--nats-operator-nkey", operator)
	require.NoError(t, err, said)
	assert.Contains(t, said, "acme ends at "+at+": nothing is known to be lost; goes on at 2-")
	s.up()
	assert.Equal(t, "Bo", s.name(s.b, "bo", at), "what was sealed can be read, at an instance without the vault")
	next := s.done(s.b, "RegisterPerson", `{"person":"cy","name":"Cy"}`)
	assert.True(t, strings.HasPrefix(next, "2-"), next)
	assert.Equal(t, "Cy", s.name(s.a, "cy", next))

	require.NoError(t, s.Down(t.Context(), "gatehouse-a", "gatehouse-b"))
	require.NoError(t, os.Rename(old, old+"-restored"))
	require.NoError(t, os.MkdirAll(old, 0o700))
	said, err = s.restore(target, "--witness", witness, "--nats-operator-nkey", operator)
	require.Error(t, err)
	assert.Contains(t, said, streams.ErrNotEmpty.Error())
}
