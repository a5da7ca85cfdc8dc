package mqtt

import (
	"fmt"
	"net"
)

// maxPacket is how many bytes a packet of the broker has at most. The greatest that is
// read is what describes a device to Home Assistant, with some tens of kilobytes.
const maxPacket = 256 << 10

// bounded is a connection that refuses packets above maxPacket. The client library
// allocates as many bytes as a header announces, up to 256 MiB, and MQTT 3.1.1 has no way
// to tell the broker a limit.
type bounded struct {
	net.Conn
	header int // bytes of the header that were seen; 0: a packet begins
	body   int // bytes of the packet that are to come
}

// Read passes bytes on, and fails before the library sees the length of a packet that is
// too long.
func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.Conn.Read(p)
	for rest := p[:n]; len(rest) > 0; {
		if b.header == 0 && b.body > 0 {
			skip := min(b.body, len(rest))
			b.body -= skip
			rest = rest[skip:]
			continue
		}
		c := rest[0]
		rest = rest[1:]
		if b.header++; b.header == 1 {
			b.body = 0
			continue
		}
		// Seven bits of the length a byte, the lowest first; the eighth says that more
		// follow (MQTT 3.1.1, section 2.2.3).
		b.body |= int(c&0x7f) << (7 * (b.header - 2))
		if b.body > maxPacket || b.header > 5 {
			return 0, fmt.Errorf("mqtt: the broker sends a packet of at least %d bytes, the most is %d; look for the topic that holds it", b.body, maxPacket)
		}
		if c&0x80 == 0 {
			b.header = 0
		}
	}
	return n, err
}
