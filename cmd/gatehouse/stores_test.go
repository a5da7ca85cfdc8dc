package main

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/eventstore"
	"gatehouse/schemas"
	"gatehouse/schemas/wire"
)

// storedData says what stood in a data directory when an earlier version stopped.
type storedData struct {
	Now   time.Time            `json:"now"` // of its clock when it stopped
	Fold  int                  `json:"fold"`
	Token string               `json:"token"` // of the owner of acme
	Orgs  map[string]storedOrg `json:"orgs"`
}

type storedOrg struct {
	Position wire.Position     `json:"position"`
	Hash     string            `json:"hash"`
	State    string            `json:"state"` // SHA-256 of the state as that fold version wrote it
	Sites    map[string]string `json:"sites"` // digests of the permissions
}

// TestDataOfEarlierVersionsGoesOn opens each data directory of testdata/stores. The
// version in the name made it. The test opens it as it is and without its snapshots.
func TestDataOfEarlierVersionsGoesOn(t *testing.T) {
	archives, err := filepath.Glob("../../testdata/stores/*.tar.gz")
	require.NoError(t, err)
	require.NotEmpty(t, archives)
	for _, archive := range archives {
		name := strings.TrimSuffix(filepath.Base(archive), ".tar.gz")
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(strings.TrimSuffix(archive, ".tar.gz") + ".json")
			require.NoError(t, err)
			var want storedData
			require.NoError(t, json.Unmarshal(text, &want))
			dir := t.TempDir()
			require.NoError(t, extract(archive, dir))
			data := filepath.Join(dir, "data")
			added := map[string]uint64{}
			require.True(t, t.Run("from snapshots", func(t *testing.T) { continuesStored(t, data, want, added) }))
			require.NoError(t, os.RemoveAll(filepath.Join(data, "snapshots")))
			t.Run("from the ledger alone", func(t *testing.T) { continuesStored(t, data, want, added) })
		})
	}
}

// continuesStored starts a service on the data and compares every org with the stored
// one. It takes the commits that were added since into account, and adds one more to
// most orgs.
func continuesStored(t *testing.T, data string, want storedData, added map[string]uint64) {
	cfg := testConfig(t)
	cfg.Data = data
	cfg.Now = func() time.Time { return want.Now }
	s := serveIn(t, cfg)
	require.NoError(t, s.Permissions.Flush(t.Context()))
	for id, org := range want.Orgs {
		compareStored(t, s, domain.ID(id), org, want.Fold, added[id])
	}
	owner := newClient(s.URL, want.Token, "acme", "")
	require.NoError(t, sends(t, owner, "RegisterPerson", fmt.Sprintf(`{"person":"later-%d","name":"Later"}`, added["acme"])))
	added["acme"]++
	for id := range want.Orgs {
		_, err := s.Store.Execute(t.Context(), domain.ID(id), eventstore.Request{
			ID: domain.DeriveUUID(domain.UUID{}, fmt.Sprintf("later/%d", added[id])), Command: "RegisterPerson",
			Fields: []any{&domain.RegisterPerson{Person: domain.ID(fmt.Sprintf("then-%d", added[id]))}}, Actor: domain.PersonActor("olga"),
		})
		if _, refused := errors.AsType[*domain.Refusal](err); refused {
			continue // olga has no role there
		}
		require.NoError(t, err, id)
		added[id]++
	}
	require.Greater(t, len(added), len(want.Orgs)/2)
	halt(t, s)
}

func compareStored(t *testing.T, s *service, id domain.ID, org storedOrg, fold int, added uint64) {
	t.Helper()
	release, err := s.Store.Hold(t.Context(), id)
	require.NoError(t, err, id)
	defer release()
	require.NoError(t, s.Store.View(t.Context(), id, func(state *domain.State, head eventstore.Head) error {
		assert.Equal(t, org.Position.N+added, head.N, "commits of %s", id)
		if added == 0 && fold == domain.FoldVersion {
			text, err := state.MarshalJSON()
			require.NoError(t, err)
			sum := sha256.Sum256(text)
			assert.Equal(t, org.State, hex.EncodeToString(sum[:]), "state of %s", id)
		}
		return nil
	}))
	var hash string
	require.NoError(t, s.Store.Commits(t.Context(), id, org.Position.N-1, org.Position.N, func(_ *schemas.Commit, body []byte) error {
		hash = wire.HashOf(body).String()
		return nil
	}))
	assert.Equal(t, org.Hash, hash, "hash of the last stored commit of %s", id)
	for site, digest := range org.Sites {
		table := s.Permissions.Table(id, domain.ID(site))
		if assert.NotNil(t, table, "permissions of %s/%s", id, site) && added == 0 {
			assert.Equal(t, digest, table.Digest().String(), "permissions of %s/%s", id, site)
		}
	}
}

// extract writes the files of a gzipped tar below a directory.
func extract(archive, dir string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	zipped, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	for r := tar.NewReader(zipped); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		path := filepath.Join(dir, filepath.Clean("/"+h.Name))
		if h.FileInfo().IsDir() {
			if err := os.MkdirAll(path, 0o700); err != nil {
				return err
			}
			continue
		}
		body, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		if err := os.WriteFile(path, body, 0o600); err != nil {
			return err
		}
	}
}
