package vault

import (
	"fmt"
	"log/slog"
	"strconv"

	"github.com/nats-io/nkeys"

	"gatehouse/schemas/wire"
)

// maxTagVersion is one more than the greatest version of a tag key.
const maxTagVersion = 1 << 31

// A TagKey turns the cards and PINs of one site into tags. It prints as its version.
//
// # Why tag keys are derived
//
// A site's tag key of a version comes from the org's key by HKDF. So the vault stores
// nothing of it, and the ledger alone says which version a site has. A vault restored
// from a backup gives the same key for a version as before, and tags already sent to
// gateways stay valid. One key reveals no other without that of the org.
type TagKey struct {
	// Version is 1 for a site's first key and grows by one with each rotation.
	Version int
	secret  secret
}

// deriveTagKey derives a tag key of a site from the key of its org. The site's id comes
// last, so that two sites and versions never give one text.
func deriveTagKey(key secret, site string, version int) TagKey {
	return TagKey{version, key.derive(nil, "gatehouse vault tag "+strconv.Itoa(version)+" "+site)}
}

// String gives "tag key version " and the version.
func (k TagKey) String() string { return "tag key version " + strconv.Itoa(k.Version) }

// Format writes String for every verb.
func (k TagKey) Format(f fmt.State, _ rune) { fmt.Fprint(f, k.String()) }

// LogValue logs the version.
func (k TagKey) LogValue() slog.Value { return slog.IntValue(k.Version) }

// Tag makes one tag, as [wire.Tagger.Tag] does. The zero TagKey has none.
func (k TagKey) Tag(kind, format, number string) [16]byte {
	return k.Tagger().Tag(kind, format, number)
}

// Tagger returns a Tagger, which a reader keeps to make tags one after the other.
func (k TagKey) Tagger() *wire.Tagger { return wire.NewTagger(k.secret.bytes()) }

// Seal seals the key to a gateway: box is the gateway's public key of the moment, an nkey
// of X25519. It returns the public key of the sender, which is used once, and the sealed
// 32 bytes of the key.
func (k TagKey) Seal(box string) (from string, sealed []byte, err error) {
	sender, err := nkeys.CreateCurveKeys()
	if err != nil {
		return "", nil, fmt.Errorf("vault: seal a tag key: %w", err)
	}
	defer sender.Wipe()
	if sealed, err = sender.Seal(k.secret.bytes(), box); err != nil {
		return "", nil, fmt.Errorf("vault: seal a tag key: %w", err)
	}
	from, err = sender.PublicKey()
	return from, sealed, err
}
