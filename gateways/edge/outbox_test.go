package edge

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/schemas/wire"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func clockAtNoon() time.Time { return noon }

// station stands for the service: it stores records by the rules of the wire.
type station struct {
	t    *testing.T
	end  wire.RecordsEnd
	kept []*wire.Activity
}

func (s *station) take(bodies [][]byte) error {
	batch, err := wire.CheckRecords("gw", bodies)
	if err != nil {
		return err
	}
	rest, err := batch.Behind(s.end)
	if err != nil {
		return err
	}
	for _, body := range rest {
		a, err := wire.DecodeActivity(body)
		require.NoError(s.t, err)
		s.kept = append(s.kept, a)
		s.end = wire.RecordsEnd{K: a.K, Boot: a.Boot, Prev: wire.HashOf(body)}
	}
	return nil
}

// sources lists the sources of the records that are stored, but for those of gaps.
func (s *station) sources() (out []string) {
	for _, a := range s.kept {
		if a.Type != wire.RecordsGap {
			out = append(out, a.Source)
		}
	}
	return out
}

func openOutbox(t *testing.T, dir string) *Outbox {
	t.Helper()
	o, err := OpenOutbox(dir, "gw", clockAtNoon)
	require.NoError(t, err)
	t.Cleanup(func() { _ = o.Close() })
	return o
}

func (o *Outbox) write(t *testing.T, source string) {
	t.Helper()
	require.NoError(t, o.Append(&wire.Activity{Type: wire.AccessGranted, At: noon, Source: source}, true))
}

// drain sends everything.
func (s *station) drain(o *Outbox) {
	s.t.Helper()
	require.NoError(s.t, o.Resume(s.end))
	for {
		bodies, err := o.Next()
		require.NoError(s.t, err)
		if len(bodies) == 0 {
			return
		}
		require.NoError(s.t, s.take(bodies))
		require.NoError(s.t, o.Resume(s.end))
	}
}

// Every record that was durable is stored once and in its order. Answers are lost, the gateway stops at any point, the end
// of its file is torn.
func TestEveryDurableRecordArrivesOnceAndInOrder(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 7))
			dir := t.TempDir()
			o, s := openOutbox(t, dir), &station{t: t}
			var wrote []string
			for step := range 40 {
				switch random.IntN(6) {
				case 0, 1, 2:
					for range 1 + random.IntN(3) {
						source := fmt.Sprint(step, "/", len(wrote))
						o.write(t, source)
						wrote = append(wrote, source)
					}
				case 3: // sent; the answer may be lost
					bodies, err := o.Next()
					require.NoError(t, err)
					if len(bodies) > 0 {
						require.NoError(t, s.take(bodies[:1+random.IntN(len(bodies))]))
					}
					if random.IntN(2) == 0 {
						require.NoError(t, o.Resume(s.end))
					}
				case 4:
					require.NoError(t, o.Resume(s.end))
				case 5: // the power goes, and with it the frame that was being written
					require.NoError(t, o.Close())
					tear(t, dir, random)
					o = openOutbox(t, dir)
				}
			}
			s.drain(o)
			assert.Equal(t, wrote, s.sources())
			assert.Zero(t, o.Waiting())
			for i, a := range s.kept {
				require.EqualValues(t, i+1, a.K)
				require.True(t, i == 0 || a.Boot >= s.kept[i-1].Boot)
			}
		})
	}
}

// tear puts the beginning of a frame behind the last one.
func tear(t *testing.T, dir string, random *rand.Rand) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "records", "*.journal"))
	require.NoError(t, err)
	if len(files) == 0 || random.IntN(2) == 0 {
		return
	}
	f, err := os.OpenFile(files[len(files)-1], os.O_WRONLY|os.O_APPEND, 0)
	require.NoError(t, err)
	_, err = f.Write([]byte{0, 0, 1, 7, 9, 9, 9, 9, '{', '"'}[:1+random.IntN(10)])
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

func gaps(kept []*wire.Activity) (out []loss) {
	for _, a := range kept {
		if a.Type == wire.RecordsGap {
			var l loss
			_ = json.Unmarshal(a.Local, &l)
			out = append(out, l)
		}
	}
	return out
}

func TestATornEndIsNamedAsAGap(t *testing.T) {
	dir := t.TempDir()
	o, s := openOutbox(t, dir), &station{t: t}
	o.write(t, "one")
	require.NoError(t, o.Close())
	files, err := filepath.Glob(filepath.Join(dir, "records", "*.journal"))
	require.NoError(t, err)
	f, err := os.OpenFile(files[0], os.O_WRONLY|os.O_APPEND, 0)
	require.NoError(t, err)
	_, err = f.Write([]byte{0, 0, 1})
	require.NoError(t, err)
	require.NoError(t, f.Close())
	s.drain(openOutbox(t, dir))
	assert.Equal(t, []string{"one"}, s.sources())
	assert.Equal(t, []loss{{Cause: "torn", Bytes: 3}}, gaps(s.kept))
}

// A flipped bit costs the records behind it, is named, and the damaged file stays.
func TestDamageIsNamedAsAGap(t *testing.T) {
	dir := t.TempDir()
	o, s := openOutbox(t, dir), &station{t: t}
	for i := range 5 {
		o.write(t, fmt.Sprint(i))
	}
	require.NoError(t, o.Close())
	files, err := filepath.Glob(filepath.Join(dir, "records", "*.journal"))
	require.NoError(t, err)
	data, err := os.ReadFile(files[0])
	require.NoError(t, err)
	data[len(data)/2] ^= 1
	require.NoError(t, os.WriteFile(files[0], data, 0o600))
	o = openOutbox(t, dir)
	o.write(t, "on")
	s.drain(o)
	assert.Equal(t, []string{"0", "1", "on"}, s.sources())
	assert.Equal(t, []loss{{Cause: "damaged"}}, gaps(s.kept))
	aside, err := filepath.Glob(filepath.Join(dir, "records.*", "*.journal"))
	require.NoError(t, err)
	assert.Len(t, aside, 1)
}

// flip flips a bit of the file of the records, which has one file here.
func flip(t *testing.T, dir string, part float64) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "records", "*.journal"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	data, err := os.ReadFile(files[0])
	require.NoError(t, err)
	data[int(float64(len(data))*part)] ^= 1
	require.NoError(t, os.WriteFile(files[0], data, 0o600))
}

// A power cut takes away what is not on the disk. Had the service got it, the box would
// find more there than it has, and take itself for cloned.
func TestNothingIsSentThatAPowerCutCouldTakeAway(t *testing.T) {
	o := openOutbox(t, t.TempDir())
	require.NoError(t, o.Append(&wire.Activity{Type: wire.AccessGranted, At: noon}, false))
	bodies, err := o.Next()
	require.NoError(t, err)
	assert.Len(t, bodies, 1)
	o.mu.Lock()
	defer o.mu.Unlock()
	assert.False(t, o.dirty)
}

func TestDamageOfConfirmedRecordsCostsNoNewOne(t *testing.T) {
	dir := t.TempDir()
	o, s := openOutbox(t, dir), &station{t: t}
	for i := range 4 {
		o.write(t, fmt.Sprint(i))
	}
	s.drain(o)
	require.NoError(t, o.Close())
	flip(t, dir, 0.3)
	o = openOutbox(t, dir)
	o.write(t, "on")
	assert.EqualValues(t, 2, o.Waiting())
	s.drain(o)
	assert.Equal(t, []string{"0", "1", "2", "3", "on"}, s.sources())
	assert.Equal(t, []loss{{Cause: "damaged"}}, gaps(s.kept))
}

// The answer that confirmed records was lost, and then the disk lost some of them: the
// service has more than the box, which is no clone for that.
func TestADamagedBoxIsNoClone(t *testing.T) {
	dir := t.TempDir()
	o, s := openOutbox(t, dir), &station{t: t}
	o.write(t, "0")
	s.drain(o)
	for i := range 4 {
		o.write(t, fmt.Sprint(i+1))
	}
	bodies, err := o.Next()
	require.NoError(t, err)
	require.NoError(t, s.take(bodies))
	require.NoError(t, o.Close())
	flip(t, dir, 0.7)
	o = openOutbox(t, dir)
	o.write(t, "on")
	s.drain(o)
	s.drain(openOutbox(t, dir))
	got := s.sources()
	assert.Equal(t, []string{"0", "1", "2", "3", "4"}, got[:5])
	assert.Equal(t, "on", got[len(got)-1])
	assert.Contains(t, gaps(s.kept), loss{Cause: "damaged"})
}

func TestAnOutboxWhoseJournalCannotBeReplacedSaysSo(t *testing.T) {
	dir := t.TempDir()
	o := openOutbox(t, dir)
	o.write(t, "one")
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "records")))
	require.ErrorIs(t, o.replace(10, nil), ErrOutboxFull)
	assert.ErrorIs(t, o.Append(&wire.Activity{Type: wire.AccessGranted}, true), ErrOutboxFull)
	_, err := o.Next()
	assert.ErrorIs(t, err, ErrOutboxFull)
}

// However often records are given new counters, the disk does not fill with old files.
func TestFewReplacedJournalsStay(t *testing.T) {
	dir := t.TempDir()
	o := openOutbox(t, dir)
	for i := range uint64(8) {
		o.write(t, "again")
		require.NoError(t, o.replace(o.k+1+i, nil))
	}
	aside, err := filepath.Glob(filepath.Join(dir, "records.*"))
	require.NoError(t, err)
	assert.Len(t, aside, keptAside)
}

// A box whose disk was replaced has records before it reaches the service. They come behind those that are stored.
func TestABoxThatBeginsGoesOnBehindTheStoredRecords(t *testing.T) {
	s := &station{t: t}
	old := openOutbox(t, t.TempDir())
	old.write(t, "old")
	s.drain(old)
	dir := t.TempDir()
	o := openOutbox(t, dir)
	o.write(t, "new 1")
	o.write(t, "new 2")
	require.NoError(t, o.Resume(s.end))
	require.NoError(t, o.Close())
	o = openOutbox(t, dir)
	o.write(t, "new 3")
	s.drain(o)
	assert.Equal(t, []string{"old", "new 1", "new 2", "new 3"}, s.sources())
	assert.Equal(t, []loss{{Cause: "renumbered", From: 1, To: 2}}, gaps(s.kept))
	assert.Greater(t, s.kept[1].Boot, s.kept[0].Boot)
}

// Two boxes with one identity: the one that comes second finds the other's records behind
// its own, and sends nothing.
func TestAClonedBoxIsFound(t *testing.T) {
	dir := t.TempDir()
	one, s := openOutbox(t, dir), &station{t: t}
	one.write(t, "both")
	s.drain(one)
	require.NoError(t, one.Close())
	clone := t.TempDir()
	require.NoError(t, os.CopyFS(clone, os.DirFS(dir)))
	one, two := openOutbox(t, dir), openOutbox(t, clone)
	one.write(t, "one")
	two.write(t, "two")
	s.drain(one)
	assert.ErrorIs(t, two.Resume(s.end), ErrCloned)
	bodies, err := two.Next()
	require.NoError(t, err)
	assert.Error(t, s.take(bodies), "and the service refuses them")
	assert.Equal(t, []string{"both", "one"}, s.sources())
}

// A service that was restored from a backup has fewer records; they are sent again while
// they are here.
func TestRecordsThatTheServiceLostAreSentAgain(t *testing.T) {
	o, s := openOutbox(t, t.TempDir()), &station{t: t}
	o.write(t, "1")
	s.drain(o)
	end, kept := s.end, s.kept
	o.write(t, "2")
	o.write(t, "3")
	s.drain(o)
	s.end, s.kept = end, kept
	s.drain(o)
	assert.Equal(t, []string{"1", "2", "3"}, s.sources())
}

func TestAFullOutboxSaysSo(t *testing.T) {
	o := openOutbox(t, t.TempDir())
	big := string(make([]byte, wire.MaxRecord))
	assert.Error(t, o.Append(&wire.Activity{Type: wire.AccessGranted, Source: big}, false))
	o.write(t, "one")
	require.NoError(t, o.journal.Close())
	assert.ErrorIs(t, o.Append(&wire.Activity{Type: wire.AccessGranted}, true), ErrOutboxFull)
	assert.EqualValues(t, 1, o.Waiting(), "nothing more was kept")
}

// The file that tells what is confirmed is damaged: the doors go on, and the records tell
// where the service stands.
func TestADamagedStateOfTheOutboxCostsNoRecord(t *testing.T) {
	dir := t.TempDir()
	o, s := openOutbox(t, dir), &station{t: t}
	o.write(t, "0")
	s.drain(o)
	o.write(t, "1")
	require.NoError(t, o.Close())
	require.NoError(t, os.WriteFile(o.stateFile(), []byte("\x00"), 0o600))
	o, err := OpenOutbox(dir, "gw", clockAtNoon)
	require.NoError(t, err)
	t.Cleanup(func() { _ = o.Close() })
	o.write(t, "2")
	s.drain(o)
	assert.Equal(t, []string{"0", "1", "2"}, s.sources())
}

// A record that names another goes on naming it when both get other counters.
func TestRecordsWithOtherCountersNameEachOther(t *testing.T) {
	s := &station{t: t}
	old := openOutbox(t, t.TempDir())
	old.write(t, "old")
	s.drain(old)
	o := openOutbox(t, t.TempDir())
	o.write(t, "granted")
	require.NoError(t, o.Append(&wire.Activity{Type: wire.AccessTaken, At: noon, Source: "taken", Of: 1}, true))
	s.drain(o)
	last := s.kept[len(s.kept)-1]
	assert.Equal(t, "taken", last.Source)
	assert.Equal(t, last.K-1, last.Of)
}
