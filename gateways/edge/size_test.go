package edge

import (
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/domain/schedule"
	"gatehouse/domain/unlock"
	"gatehouse/gateways/edge/journal"
	"gatehouse/schemas/wire"
)

// crowd is the table of a site with people who have a card and a grant each, and 200
// doors that one right opens.
func crowd(t testing.TB, people int) (*unlock.Table, wire.PermissionHead) {
	t.Helper()
	zone, err := schedule.LoadRules("Europe/Berlin")
	require.NoError(t, err)
	rows := unlock.Rows{&unlock.Site{ID: "north", Zone: zone, LeaseStandard: 900, LeaseCritical: 30, TagKey: 1}}
	right := &unlock.Right{ID: "all"}
	for i := range 200 {
		id := fmt.Sprintf("door-%03d", i)
		rows = append(rows, &unlock.Door{ID: id, Gateway: "cabinet", Enabled: true})
		right.Doors = append(right.Doors, id)
	}
	rows = append(rows, right)
	for i := range people {
		var tag unlock.Tag
		binary.BigEndian.PutUint64(tag[:], uint64(i)*0x9e3779b97f4a7c15+1)
		person := fmt.Sprintf("p-%d", i)
		rows = append(rows, &unlock.Person{ID: person, State: unlock.PersonActive}, &unlock.Credential{ID: fmt.Sprintf("c-%d", i), Tag: tag, Kind: unlock.Card, Person: person, State: unlock.CredentialActive},
			&unlock.Grant{ID: fmt.Sprintf("g-%d", i), Person: person, Right: "all", Source: unlock.SourceGrant, State: unlock.GrantActive})
	}
	head := wire.PermissionHead{Epoch: 1, N: 10, At: noon}
	table, err := new(unlock.Table).Apply(head.Delta(rows, nil))
	require.NoError(t, err)
	head.Digest = table.Digest()
	return table, head
}

// peak is the greatest resident size of this process so far, in bytes.
func peak(t testing.TB) (kb int) {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	require.NoError(t, err)
	for line := range strings.Lines(string(status)) {
		if n, err := fmt.Sscanf(line, "VmHWM: %d kB", &kb); n == 1 && err == nil {
			return kb
		}
	}
	return 0
}

func TestLoadCrowd(t *testing.T) {
	dir := os.Getenv("CROWD")
	if dir == "" {
		t.Skip()
	}
	key := testLogKey
	if _, err := os.Stat(dir); err != nil {
		table, head := crowd(t, 50_000)
		j, err := journal.Open(dir)
		require.NoError(t, err)
		n := uint64(1)
		require.NoError(t, wire.EncodeBase("acme", "north", table, head, key, func(body []byte) error {
			err := j.Append(n, frameOf(frameBase, body))
			n++
			return err
		}))
		require.NoError(t, j.Close())
		return
	}
	before := peak(t)
	began := time.Now()
	tables, err := openTables(dir, "acme", "north", key.Public().(ed25519.PublicKey), wire.Position{})
	require.NoError(t, err)
	took := time.Since(began)
	after := peak(t)
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	t.Logf("took %v, peak %d -> %d kB, live %d kB, N %d", took, before, after, m.HeapAlloc/1024, tables.head().N)
}
