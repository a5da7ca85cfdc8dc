package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// A panic while the vault answers another instance is named as all other panics are. It
// has its org and not its cause.
func TestAPanicOfTheVaultIsNamedAndCounted(t *testing.T) {
	cfg := testConfig(t)
	cfg.MetricsListen = "127.0.0.1:0"
	s := serveIn(t, cfg)
	assert.ErrorContains(t, s.guardVault("acme", func() { panic("boom") }), "the program failed at this")
	_, text := bodyOf(t, s.wholeReadiness())
	assert.Contains(t, text, `"part":"panic:vault"`)
	assert.Contains(t, text, `org \"acme\"`)
	assert.NotContains(t, text, "boom")
	_, text = bodyOf(t, s.MetricsURL)
	assert.Contains(t, text, `gatehouse_panics_total{part="vault"} 1`)
}
