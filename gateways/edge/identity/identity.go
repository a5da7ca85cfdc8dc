// Package identity makes a gateway known to its service and keeps who it is: by [Enrol]
// with a one-use code, later by [Open].
//
// # What is on the disk
//
// identity.json holds the private half of the gateway's key, and the key of the ledger
// that signs permissions. enrolment.json holds a key that was made and is not confirmed
// yet. Each is replaced as a whole, and the key is durable before anybody is told its
// public half. So a gateway that is switched off at any step enrols by the same code when
// it starts again, and an old identity is good until the new one is.
//
// A reader of these files can be the gateway: they are readable by their owner alone, and
// [Open] takes no others.
package identity

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"gatehouse/schemas/wire"
)

// ErrNone says that the directory holds no identity: the gateway has yet to enrol.
var ErrNone = errors.New("this gateway has no identity yet: enrol it by a code, which gatehouse do RegisterGateway gives")

// errDamaged says that a file cannot be read.
var errDamaged = errors.New("it is damaged; enrol the gateway again by a new code, which gatehouse do RotateGatewayKey gives")

// The files of a directory, and the most bytes that one of them has.
const (
	identityFile  = "identity.json"
	enrolmentFile = "enrolment.json"
	lockFile      = "identity.lock"
	maxFile       = 64 << 10
)

// version is that of the files.
const version = 1

// Identity is who a gateway is, and whom it believes.
type Identity struct {
	Org, Gateway, Site wire.ID
	LogKey             ed25519.PublicKey // signs permissions
	NATSURLs           []string          // where it connects

	key  nkeys.KeyPair
	ca   string // file with the authority of the servers' certificates; empty: those of the machine
	code []byte // public half of the key of the code by which it enrolled
}

// stored is identity.json.
type stored struct {
	V        int      `json:"v"`
	Org      wire.ID  `json:"org"`
	Gateway  wire.ID  `json:"gateway"`
	Site     wire.ID  `json:"site"`
	Seed     string   `json:"seed"`
	LogKey   []byte   `json:"log_key"`
	NATSURLs []string `json:"nats_urls"`
	CA       string   `json:"ca,omitempty"`
	Code     []byte   `json:"code"`
}

// Open reads the identity in a directory. The error is [ErrNone] if there is none.
func Open(dir string) (*Identity, error) {
	path := filepath.Join(dir, identityFile)
	var s stored
	if err := readOwn(path, &s); errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", path, ErrNone)
	} else if err != nil {
		return nil, err
	}
	i, err := s.identity()
	if err != nil {
		return nil, fmt.Errorf("%s: %w; enrol the gateway again by a new code, which gatehouse do RotateGatewayKey gives", path, err)
	}
	return i, nil
}

func (s *stored) identity() (*Identity, error) {
	switch {
	case s.V != version:
		return nil, fmt.Errorf("it is of version %d, and this program reads %d", s.V, version)
	case s.Org == "" || s.Gateway == "" || s.Site == "" || len(s.NATSURLs) == 0:
		return nil, errors.New("a part is missing")
	case len(s.LogKey) != ed25519.PublicKeySize:
		return nil, errors.New("the key of the ledger is not whole")
	}
	key, err := userKey(s.Seed)
	if err != nil {
		return nil, err
	}
	return &Identity{Org: s.Org, Gateway: s.Gateway, Site: s.Site, LogKey: s.LogKey, NATSURLs: s.NATSURLs, key: key, ca: s.CA, code: s.Code}, nil
}

// userKey reads the seed of an nkey of a user. The error does not tell it.
func userKey(seed string) (nkeys.KeyPair, error) {
	key, err := nkeys.FromSeed([]byte(seed))
	if err != nil {
		return nil, errors.New("it holds no seed of an nkey")
	}
	if public, err := key.PublicKey(); err != nil || !nkeys.IsValidPublicUserKey(public) {
		return nil, errors.New("its seed is not that of a user")
	}
	return key, nil
}

// readOwn reads a JSON file that its owner alone can read.
func readOwn(path string, into any) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s: others than its owner can use it (mode %04o), and with it be this gateway; run chmod 600, and if others had access enrol again", path, info.Mode().Perm())
	}
	body, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if len(body) > maxFile {
		return fmt.Errorf("%s: it has more than %d bytes, so this program did not write it", path, maxFile)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%s: %w", path, errDamaged)
	}
	return nil
}

// Key is the key by which the gateway proves who it is.
func (i *Identity) Key() nkeys.KeyPair { return i.key }

// PublicKey is the public half of the key, as the service knows it.
func (i *Identity) PublicKey() string {
	public, err := i.key.PublicKey()
	if err != nil {
		panic(err) // the key was read from a seed
	}
	return public
}

// How a gateway reconnects. A crowd that lost its server at once does not come back at
// once.
const (
	reconnectWait = 500 * time.Millisecond
	jitter        = 2 * time.Second
	connectTime   = 5 * time.Second
	pingInterval  = 10 * time.Second
	pingsMissed   = 2
)

// Options are how the gateway connects to NATS: it proves its key, receives replies of its
// own alone, and never gives up. The service also refuses while no instance can answer for
// it, so a refusal is no reason to stop either.
func (i *Identity) Options() []nats.Option {
	options := []nats.Option{
		nats.Name(string(i.Org) + "/" + string(i.Gateway)), nats.Nkey(i.PublicKey(), i.key.Sign),
		nats.CustomInboxPrefix(wire.InboxPrefix(i.Org, i.Gateway)),
		nats.Timeout(connectTime), nats.PingInterval(pingInterval), nats.MaxPingsOutstanding(pingsMissed),
		nats.MaxReconnects(-1), nats.ReconnectWait(reconnectWait), nats.ReconnectJitter(jitter, jitter), nats.IgnoreAuthErrorAbort(),
	}
	if i.ca != "" {
		options = append(options, nats.RootCAs(i.ca))
	}
	return options
}

// Move takes other addresses of NATS than those that the service told. Nothing is stored.
func (i *Identity) Move(urls []string) error {
	if err := checkURLs(urls); err != nil {
		return err
	}
	i.NATSURLs = urls
	return nil
}

// Connect connects to NATS by [Identity.Options] and further ones.
func (i *Identity) Connect(further ...nats.Option) (*nats.Conn, error) {
	options := append(i.Options(), func(o *nats.Options) error {
		o.Servers = i.NATSURLs
		return nil
	})
	return nats.Connect("", append(options, further...)...)
}

// checkURLs refuses addresses of NATS that a gateway cannot use.
func checkURLs(urls []string) error {
	if len(urls) == 0 {
		return errors.New("no address of NATS is named; give the service one with --gateway-nats-url")
	}
	for _, text := range urls {
		if u, err := url.Parse(text); err != nil || u.Scheme != "nats" && u.Scheme != "tls" || u.Host == "" {
			return fmt.Errorf("%q is no address of NATS, such as tls://gatehouse.example.com:4222; what the service names is set there by --gateway-nats-url", text)
		}
	}
	return nil
}
