package uhppote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"syscall"
	"time"

	codec "github.com/uhppoted/uhppote-core/encoding/UTO311-L0x"
	"github.com/uhppoted/uhppote-core/messages"
	"github.com/uhppoted/uhppote-core/types"

	"gatehouse/gateways/driver"
)

// maxFound is how many boards are taken from one search.
const maxFound = 256

// ask asks a board something that does no harm twice, until it answers.
func ask[R any](ctx context.Context, b *board, request any) (answer R, err error) {
	for range tries {
		if answer, err = once[R](ctx, b, request, b.d.pace.answer); err == nil || ctx.Err() != nil {
			return answer, err
		}
	}
	return answer, err
}

// once sends a request once, and waits for the answer as long as it may take. An error is
// driver.ErrOffline only if the board has got nothing.
func once[R any](ctx context.Context, b *board, request any, patience time.Duration) (answer R, err error) {
	frame, err := codec.Marshal(request)
	if err != nil {
		return answer, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	got, err := b.exchange(ctx, frame)
	if err != nil {
		return answer, err
	}
	return decode[R](got)
}

// exchange sends a message from a socket of its own. So a late answer is not taken for that
// to another question.
func (b *board) exchange(ctx context.Context, frame []byte) ([]byte, error) {
	conn, err := b.dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", driver.ErrOffline, err)
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if ctx.Err() != nil {
		return nil, fmt.Errorf("%w: %w", driver.ErrOffline, ctx.Err())
	}
	_, err = conn.Write(frame)
	for err == nil {
		got := make([]byte, frameSize)
		if b.set.Transport == "tcp" {
			_, err = io.ReadFull(conn, got)
		} else {
			var n int
			if n, err = conn.Read(got); err == nil && n != frameSize {
				continue
			}
		}
		if err == nil && got[0] == som && got[1] == frame[1] && serialOf(got) == b.serial {
			return got, nil
		}
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED): // there is a machine, and nobody listens
		return nil, fmt.Errorf("%w: %w", driver.ErrOffline, err)
	case ctx.Err() != nil:
		err = ctx.Err()
	}
	return nil, fmt.Errorf("%w: no answer to the function %#02x: %w", driver.ErrUnconfirmed, frame[1], err)
}

func (b *board) dial(ctx context.Context) (net.Conn, error) {
	to := b.addr.Load()
	if to == nil {
		return nil, errors.New("nobody knows where it is")
	}
	var from net.Dialer
	bind := b.d.set.bind
	if b.set.Transport == "tcp" {
		if bind.IsValid() {
			from.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(bind, 0))
		}
		return from.DialContext(ctx, "tcp4", to.String())
	}
	if bind.IsValid() {
		from.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(bind, 0))
	}
	return from.DialContext(ctx, "udp4", to.String())
}

// find learns where a board is. One without an address is looked for each time, for it may
// have got another one.
func (b *board) find(ctx context.Context) error {
	if b.set.address.IsValid() {
		b.addr.Store(&b.set.address)
		return nil
	}
	found, err := b.d.discover(ctx)
	if err != nil {
		return err
	}
	at, is := found[b.serial]
	if !is {
		return fmt.Errorf("%w: no answer from %s", driver.ErrOffline, b.d.set.broadcast)
	}
	b.addr.Store(&at)
	return nil
}

// discover asks the network which boards there are, until all are found that are looked
// for. Those that no door names are told of once.
func (d *Driver) discover(ctx context.Context) (map[uint32]netip.AddrPort, error) {
	frame, err := codec.Marshal(messages.GetDeviceRequest{SerialNumber: types.SerialNumber(0)})
	if err != nil {
		return nil, err
	}
	local := netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
	if d.set.bind.IsValid() {
		local = netip.AddrPortFrom(d.set.bind, 0)
	}
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(local))
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithTimeout(ctx, d.pace.discover)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := conn.WriteToUDPAddrPort(frame, d.set.broadcast); err != nil {
		return nil, err
	}
	found := map[uint32]netip.AddrPort{}
	for len(found) < maxFound && !d.foundAll(found) {
		got := make([]byte, frameSize+1)
		n, from, err := conn.ReadFromUDPAddrPort(got)
		if err != nil {
			break
		}
		if n != frameSize || got[0] != som || got[1] != frame[1] {
			continue
		}
		answer, err := decode[messages.GetDeviceResponse](got[:n])
		if err != nil {
			continue
		}
		at := netip.AddrPortFrom(from.Addr().Unmap(), d.set.broadcast.Port())
		found[uint32(answer.SerialNumber)] = at
		d.stranger(uint32(answer.SerialNumber), at, answer.Version)
	}
	return found, nil
}

// foundAll reports whether every board without an address is found.
func (d *Driver) foundAll(found map[uint32]netip.AddrPort) bool {
	for serial, b := range d.boards {
		if _, is := found[serial]; !is && !b.set.address.IsValid() {
			return false
		}
	}
	return true
}

func (d *Driver) stranger(serial uint32, at netip.AddrPort, version types.Version) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.boards[serial] == nil && !d.strangers[serial] && len(d.strangers) < maxFound {
		d.strangers[serial] = true
		d.log.Info("uhppote: there is a board that no door names", "board", serial, "address", at.String(), "firmware", version.String())
	}
}

// listen opens the socket for pushes. Without it, nil, the doors go on: boards are asked.
func (d *Driver) listen(ctx context.Context) *net.UDPConn {
	var config net.ListenConfig
	conn, err := config.ListenPacket(ctx, "udp4", d.set.listen.String())
	if err != nil {
		d.log.Error("uhppote: nothing is heard of pushes, trying again", "listen", d.set.listen.String(), "err", err)
		return nil
	}
	udp := conn.(*net.UDPConn)
	d.heard.Store(uint32(udp.LocalAddr().(*net.UDPAddr).Port))
	return udp
}

// keepHearing takes pushes until the context ends.
func (d *Driver) keepHearing(ctx context.Context, conn *net.UDPConn) {
	for ctx.Err() == nil {
		if conn != nil {
			d.hear(ctx, conn)
			conn = nil
			d.heard.Store(0)
		}
		select {
		case <-ctx.Done():
		case <-time.After(d.pace.keep):
			conn = d.listen(ctx)
		}
	}
}

// hear takes pushes until the socket or the context ends. Of a push it believes nothing but that it is
// time to look at the board that it names.
func (d *Driver) hear(ctx context.Context, conn *net.UDPConn) {
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer func() {
		stop()
		_ = conn.Close()
	}()
	frame := make([]byte, frameSize+1)
	for {
		n, _, err := conn.ReadFromUDPAddrPort(frame)
		if err != nil {
			return
		}
		if n != frameSize || frame[0] != som && frame[0] != somEvents || frame[1] != fnStatus {
			continue
		}
		if b := d.boards[serialOf(frame)]; b != nil {
			b.poke()
		}
	}
}

// pushTo is where a board is told to push to: the address by which this machine reaches it.
func (b *board) pushTo() (netip.AddrPort, error) {
	port := uint16(b.d.heard.Load())
	if at := b.d.set.listen.Addr(); !at.IsUnspecified() {
		return netip.AddrPortFrom(at, port), nil
	}
	conn, err := net.Dial("udp4", b.addr.Load().String())
	if err != nil {
		return netip.AddrPort{}, err
	}
	defer func() { _ = conn.Close() }()
	return netip.AddrPortFrom(conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(), port), nil
}
