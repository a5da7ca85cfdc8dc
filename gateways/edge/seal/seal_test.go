package seal

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-tpm/tpm2/transport/linuxtpm"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/programtest"
)

func TestASealedSecretIsOpenedByItsTPMAloneAlsoAfterAPowerCut(t *testing.T) {
	s := programtest.StartTPM(t)
	secret := bytes.Repeat([]byte("of more than a TPM takes at once "), 10)
	body, err := Find(s.Path).Seal(secret)
	require.NoError(t, err)
	assert.NotContains(t, string(body), "TPM takes")
	s.Restart()
	opened, err := Find(s.Path).Open(body)
	require.NoError(t, err)
	assert.Equal(t, secret, opened)
	_, err = Find(programtest.StartTPM(t).Path).Open(body)
	require.Error(t, err)
}

func TestADamagedSecretIsRefused(t *testing.T) {
	s := programtest.StartTPM(t)
	whole, err := Find(s.Path).Seal([]byte("secret"))
	require.NoError(t, err)
	var parts map[string][]byte
	require.NoError(t, json.Unmarshal(whole, &parts))
	for name, part := range parts {
		for _, damaged := range [][]byte{nil, part[:len(part)/2], append(bytes.Clone(part[:len(part)-1]), part[len(part)-1]^1)} {
			body, err := json.Marshal(merged(parts, name, damaged))
			require.NoError(t, err)
			_, err = Find(s.Path).Open(body)
			assert.Error(t, err, "%s of %d bytes", name, len(damaged))
		}
	}
	_, err = Find(s.Path).Open([]byte(`{"version":1}`))
	require.Error(t, err)
}

func merged(parts map[string][]byte, name string, value []byte) map[string][]byte {
	all := maps.Clone(parts)
	all[name] = value
	return all
}

func TestATPMIsFoundWhereThereIsOne(t *testing.T) {
	assert.Nil(t, Find(None))
	if _, err := os.Stat(Standard); err != nil {
		assert.Nil(t, Find(""))
	}
	_, err := Find(filepath.Join(t.TempDir(), "absent")).Seal(nil)
	require.ErrorIs(t, err, os.ErrNotExist)
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err = Find(file).Seal(nil)
	require.ErrorIs(t, err, linuxtpm.ErrFileIsNotDevice)
}
