package edge

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/gateways/driver"
	"gatehouse/schemas/wire"
)

func TestTheRecordsOfAPassageAreSmall(t *testing.T) {
	b := newBed(t)
	g := b.gateway()
	g.current(t)
	g.device.show("123456")
	g.device.report <- driver.Event{Kind: driver.Opened, Door: "gate"}
	g.device.report <- driver.Event{Kind: driver.Closed, Door: "gate"}
	var size, n int
	for _, a := range b.waitRecords(3, wire.AccessGranted, wire.AccessTaken, wire.DoorClosed) {
		body, err := a.Encode()
		require.NoError(t, err)
		size, n = size+len(body), n+1
	}
	assert.LessOrEqual(t, size/n, 450, "bytes in the mean")
}
