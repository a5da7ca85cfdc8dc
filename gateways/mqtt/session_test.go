package mqtt

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/gateways/driver"
	"gatehouse/programtest"
	"gatehouse/schemas/wire"
)

// On the NATS server, lock/1/# is both lock.1 and lock.1.>. A user who may read one of
// them alone is refused, and nothing but the granted QoS says so.
func TestGrantedQoSTellsARefusedSubscription(t *testing.T) {
	for _, c := range []struct {
		may     string
		granted bool
	}{
		{`"lock.1.>"`, false},
		{`"lock.1"`, false},
		{`"lock.1", "lock.1.>"`, true},
	} {
		t.Run(c.may, func(t *testing.T) {
			b := natsBroker(t, `authorization { users: [ { user: gw, password: "s3cret", permissions: { publish: ">", subscribe: [`+c.may+`, "$MQTT.sub.>", "$MQTT.deliver.pubrel.>"] } } ] }`)
			s := &settings{address: b.address, User: "gw", PasswordFile: secretFile(t, "s3cret\n"), ClientID: "gw"}
			open, err := s.connect(context.Background(), func(message) {})
			require.NoError(t, err)
			defer open.leave(ended, "")
			refused, err := open.subscribe(context.Background(), []string{"lock/1/#"})
			require.NoError(t, err)
			assert.Equal(t, !c.granted, len(refused) == 1, "refused: %v", refused)
		})
	}
}

func TestDoorWithARefusedTopicIsOfflineAndSaysWhy(t *testing.T) {
	b := natsBroker(t, `authorization { users: [ { user: gw, password: s3cret, permissions: { publish: ">",
		subscribe: [ "shut.status", "open.>", "$MQTT.sub.>", "$MQTT.deliver.pubrel.>" ] } }, { user: device, password: d } ] }`)
	device := b.joinAs(t, "device", "d", "")
	device.keep("shut/status", "online")
	device.keep("open/status", "online")
	r := b.run(t, map[wire.ID]string{
		"shut": `{"profile":"esphome","topic":"shut","relay":"strike"}`,
		"open": `{"profile":"esphome","topic":"open","relay":"strike"}`,
	}, `"user":"gw"`, `"password_file":"`+secretFile(t, "s3cret")+`"`)
	r.await("open", driver.Online, 1)
	r.await("shut", driver.Offline, 1)
	assert.Empty(t, r.seen("shut", driver.Online))
	assert.ErrorIs(t, r.do("shut", driver.Command{Action: driver.Release}), driver.ErrOffline)
	assert.Contains(t, r.logged.String(), "shut/switch/strike/state")
	assert.NotContains(t, r.logged.String(), "open/switch")
}

// ended is a context that has ended, with which a session is left in peace.
var ended = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

func secretFile(t testing.TB, text string) string { return textFile(t, "secret", text) }

func textFile(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// certificate makes a certificate of 127.0.0.1 that vouches for itself.
func certificate(t testing.TB) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	made := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, made, made, &key.PublicKey, key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return textFile(t, "cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))),
		textFile(t, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
}

func TestTLSAndPasswordFromAFile(t *testing.T) {
	cert, key := certificate(t)
	passwords := secretFile(t, "")
	out, err := exec.Command(programtest.Find(t, "mosquitto_passwd", "mosquitto"), "-b", passwords, "gw", "pass-4711").CombinedOutput()
	require.NoError(t, err, "%s", out)
	b := mosquitto(t, "allow_anonymous false", "password_file "+passwords, "certfile "+cert, "keyfile "+key)
	secret := secretFile(t, "wrong-0815\n")
	open := func(ca string) (*session, error) {
		s, err := readSettings(json.RawMessage(`{"broker":"mqtts://` + b.address + `","user":"gw","password_file":"` + secret + `","ca_file":"` + ca + `"}`))
		require.NoError(t, err)
		return s.connect(context.Background(), func(message) {})
	}
	_, err = open(cert)
	require.Error(t, err, "the password is wrong")
	assert.NotContains(t, err.Error(), "wrong-0815")
	require.NoError(t, os.WriteFile(secret, []byte("pass-4711\n"), 0o600))
	other, _ := certificate(t)
	_, err = open(other)
	assert.ErrorContains(t, err, "certificate", "another authority")
	s, err := open(cert)
	require.NoError(t, err)
	s.leave(ended, "")
}

func TestDriverPublishesItsOwnBirthAndWill(t *testing.T) {
	t.Parallel()
	b := mosquitto(t)
	said := make(chan string, 16)
	b.join(t, "").hear("gatehouse/status", func(text string) { said <- text })
	expect := func(want string) {
		t.Helper()
		select {
		case text := <-said:
			assert.Equal(t, want, text)
		case <-time.After(time.Minute):
			require.Fail(t, "nothing said", want)
		}
	}
	r := b.run(t, nil, `"status_topic":"gatehouse/status"`)
	expect("online")
	r.stop()
	expect("offline")

	b.run(t, nil, `"status_topic":"gatehouse/status"`, `"client_id":"gw"`)
	expect("online")
	thief, err := (&settings{address: b.address, ClientID: "gw"}).connect(context.Background(), func(message) {})
	require.NoError(t, err)
	expect("offline") // its will, for it was thrown out
	expect("online")
	thief.leave(ended, "")
}

func TestSettingsAreChecked(t *testing.T) {
	for text, want := range map[string]string{
		``:                               "broker is missing",
		`{"brokre":"mqtt://a"}`:          `unknown field "brokre"`,
		`{"broker":"a:1883"}`:            "is no address",
		`{"broker":"http://a"}`:          "scheme",
		`{"broker":"mqtt://u:pw4711@a"}`: "password_file",
		`{"broker":"mqtt://a/b"}`:        "path",
		`{"broker":"mqtt://a"} x`:        "behind",
		`{"broker":"mqtt://a"}{}`:        "behind",
		`{"broker":"mqtt://a","user":"u","client_id":"a b"}`:                      "client_id",
		`{"broker":"mqtt://a","password_file":"f"}`:                               "needs a user",
		`{"broker":"mqtt://a","ca_file":"f"}`:                                     "mqtts",
		`{"broker":"mqtts://a","cert_file":"f"}`:                                  "key_file",
		`{"broker":"mqtt://a","status_topic":"a/#"}`:                              "wildcard",
		`{"broker":"mqtt://a","discovery":"+"}`:                                   "wildcard",
		`{"broker":"mqtt://a","fire":{"topic":"$SYS/fire"}}`:                      "broker",
		`{"broker":"mqtt://a","status_topic":"` + strings.Repeat("a", 300) + `"}`: "300 bytes",
	} {
		_, err := Open(driver.Settings{Driver: json.RawMessage(text)})
		assert.ErrorContains(t, err, want, text)
		if err != nil {
			assert.NotContains(t, err.Error(), "pw4711")
		}
	}
}

func TestDoorSettingsAreChecked(t *testing.T) {
	for text, want := range map[string]string{
		``:                                    "empty",
		`{}`:                                  "lock is missing",
		`{"profile":"zigby","topic":"a"}`:     "no profile",
		`{"profile":"nuki"}`:                  "topic is empty",
		`{"profile":"nuki","topic":"nuki/+"}`: "wildcard",
		`{"profile":"nuki","topic":"nuki/a","release":"kick"}`:            "lock_n_go",
		`{"profile":"nuki","topic":"nuki/a","slots":3}`:                   "are not of Nuki",
		`{"profile":"tasmota","topic":"cmnd/a"}`:                          "without cmnd",
		`{"profile":"tasmota","topic":"a","relay":"x"}`:                   "number",
		`{"profile":"esphome","topic":"a"}`:                               "object id",
		`{"profile":"esphome","topic":"a","relay":"b","component":"x"}`:   "switch or lock",
		`{"profile":"gatehouse","topic":"a","relay":"1"}`:                 "not of the profile",
		`{"profile":"gatehouse","topic":"a","slots":100000}`:              "the most is",
		`{"profile":"gatehouse","topic":"a","relock":"me"}`:               "gateway or device",
		`{"lock":{"id":"a","topic":"b"}}`:                                 "both",
		`{"lock":{"topic":"b","state":{"id":"c"}}}`:                       "no id",
		`{"lock":{"topic":"b"},"slots":3}`:                                "contact need a profile",
		`{"lock":{"topic":"b"},"leaf":{}}`:                                "id or a topic",
		`{"lock":{"topic":"b"},"readers":[{"topic":"c","side":"up"}]}`:    "in or out",
		`{"lock":{"topic":"b"},"readers":[{"topic":"c","method":"key"}]}`: "fob, card or pin",
		`{"lock":{"topic":"b"},"refuse":{"topic":""}}`:                    "refuse",
		`{"lock":{"topic":"a\u0000b"}}`:                                   "no text",
	} {
		_, err := Open(driver.Settings{Driver: json.RawMessage(`{"broker":"mqtt://a"}`), Doors: map[wire.ID]json.RawMessage{"gate": json.RawMessage(text)}})
		assert.ErrorContains(t, err, want, text)
		if err != nil {
			assert.ErrorContains(t, err, "door gate", text)
		}
	}
}

// pipe is a connection that brings given bytes.
type pipe struct {
	net.Conn
	io.Reader
}

func (p pipe) Read(b []byte) (int, error) { return p.Reader.Read(b) }

func TestPacketsAreBounded(t *testing.T) {
	small := append([]byte{0x30, 0x85, 0x01}, bytes.Repeat([]byte{0xff}, 133)...) // 133 = 0x05 + 1<<7
	stream := append(append(append([]byte{}, small...), 0xd0, 0x00), small...)
	for _, step := range []int{1, 2, 3, 1000} {
		b := &bounded{Conn: pipe{Reader: bytes.NewReader(stream)}}
		var got []byte
		buffer := make([]byte, step)
		for {
			n, err := b.Read(buffer)
			got = append(got, buffer[:n]...)
			if err != nil {
				assert.ErrorIs(t, err, io.EOF)
				break
			}
		}
		assert.Equal(t, stream, got, "read %d bytes at once", step)
	}
	huge := append(append([]byte{}, small...), 0x30, 0xff, 0xff, 0xff, 0x7f)
	b := &bounded{Conn: pipe{Reader: bytes.NewReader(huge)}}
	_, err := io.ReadAll(b)
	assert.ErrorContains(t, err, "the most is")
}
