package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"log/slog"
	"os"
	"path/filepath"

	"gatehouse/gateways/httpapi"
)

// temporary is a service that ends with the verb that started it. It has a directory of
// its own, and the org of the demo.
type temporary struct {
	*service
	dir string
	org *httpapi.NewOrg
}

// startTemporary starts a service for a verb that shows or measures something. Its data is
// below its directory; its key is nobody's.
func startTemporary(w *world, verb string, cfg serviceConfig) (*temporary, error) {
	dir, err := os.MkdirTemp("", "gatehouse-"+verb+"-")
	if err != nil {
		return nil, err
	}
	key := make([]byte, 32)
	rand.Read(key) // it never fails: the program ends instead
	cfg.Data, cfg.VaultKey = filepath.Join(dir, "data"), base64.StdEncoding.EncodeToString(key)
	cfg.NATS = natsConfig{Replicas: 1, Listen: "127.0.0.1:0"}
	cfg.Log = slog.New(slog.NewTextHandler(w.stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	t := &temporary{dir: dir}
	if t.service, err = startService(w.ctx, cfg); err == nil {
		t.org, err = makeDemoOrg(w.ctx, t.service)
	}
	if err != nil {
		return nil, errors.Join(err, t.end())
	}
	return t, nil
}

// end stops the service and removes its directory.
func (t *temporary) end() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	var err error
	if t.service != nil {
		err = t.Stop(ctx)
	}
	return errors.Join(err, os.RemoveAll(t.dir))
}
