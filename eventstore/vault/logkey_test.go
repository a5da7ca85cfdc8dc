package vault

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Gateways keep the public half from their enrolment on, so that it never changes.
func TestTheLogKeyFollowsFromTheMasterKey(t *testing.T) {
	m, err := ParseMaster(strings.Repeat("0f", 32))
	require.NoError(t, err)
	key, err := m.LogKey()
	require.NoError(t, err)
	assert.Equal(t, "1c854c4902a265040aac3cb20736cfd65e112e60eaab2600dff8b8c86e5cd6ce", hex.EncodeToString(key[32:]))
	other, err := ParseMaster(strings.Repeat("f0", 32))
	require.NoError(t, err)
	different, err := other.LogKey()
	require.NoError(t, err)
	assert.NotEqual(t, key, different)
}

// The code that a command was answered with is told again to its sender, also by the
// next version.
func TestTheKeyOfCodesFollowsFromTheMasterKey(t *testing.T) {
	m, err := ParseMaster(strings.Repeat("0f", 32))
	require.NoError(t, err)
	key, err := m.CodeKey()
	require.NoError(t, err)
	assert.Equal(t, "64731e2812690406690c9fa56edde158843b691d12e691465689149b0f090039", hex.EncodeToString(key))
}
