package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"gatehouse/eventstore/backup"
	"gatehouse/gateways/httpapi"
)

// backupConfig says which backups a service makes by itself.
type backupConfig struct {
	Target string // empty: none
	Every  time.Duration
	flags  backupFlags
}

// check finds what does not go together, before anything is touched.
func (b backupConfig) check(remoteVault bool) error {
	if b.Target == "" {
		return nil
	}
	if remoteVault {
		return usage("--backup: the backup is made by the instance that holds the vault, which this one does not (--vault remote)")
	}
	if b.Every < backup.MinEvery {
		return usage("--backup-every %s: at least %s lie between two backups", b.Every, backup.MinEvery)
	}
	target, err := b.flags.open(b.Target)
	if err != nil {
		return err
	}
	_, err = backup.NewWriter(target, nil, backup.Options{Recipients: b.flags.Recipients, Plain: b.flags.Plain})
	if errors.Is(err, backup.ErrRecipients) {
		return usage("--backup: %v; --backup-recipient or --backup-plain", err)
	}
	if err != nil {
		return usage("--backup: %v", err)
	}
	return nil
}

// offerBackups answers the verb backup on the socket of the data directory, and makes the backups that were ordered.
func (s *service) offerBackups() error {
	js, err := jetstream.New(s.conn)
	if err != nil {
		return err
	}
	store := backup.Store{JS: js, Vault: s.held}
	ctx, end := context.WithCancel(context.Background())
	var running sync.WaitGroup
	s.onStop(func(context.Context) error {
		end()
		running.Wait()
		return nil
	})
	if socket, err := backup.Listen(s.cfg.Data); err != nil {
		// A file system without sockets keeps nobody from serving.
		s.cfg.Log.Warn("the verb backup does not work with this data directory", "error", err)
	} else {
		running.Go(func() {
			var err error
			if panicked := s.Store.Guard("backup", "", "", func() { err = store.Serve(ctx, socket, s.cfg.Data, s.cfg.Log) }); panicked != nil {
				err = panicked
			}
			if err := errors.Join(err, socket.Close()); err != nil && ctx.Err() == nil {
				s.cfg.Log.Error("the verb backup does not work any more", "error", err)
			}
		})
	}
	if s.cfg.Backup.Target == "" {
		return nil
	}
	target, err := s.cfg.Backup.flags.open(s.cfg.Backup.Target)
	if err != nil {
		return err
	}
	source, err := store.Source()
	if err != nil {
		return err
	}
	flags := s.cfg.Backup.flags
	writer, err := backup.NewWriter(target, source, backup.Options{Recipients: flags.Recipients, Plain: flags.Plain,
		VaultCopiesFor: time.Duration(flags.VaultCopiesFor), Spool: s.cfg.Data, Now: s.cfg.Now, Log: s.cfg.Log})
	if err != nil {
		return err
	}
	if s.Backups, err = backup.NewSchedule(writer, s.cfg.Backup.Every, s.metrics); err != nil {
		return err
	}
	running.Go(func() { s.Backups.Run(ctx) })
	return nil
}

// backupsAmiss tells what is amiss with the backups that this instance makes.
func (s *service) backupsAmiss() (amiss []httpapi.Trouble) {
	if s.Backups == nil {
		return nil
	}
	if s.Backups.Trouble() != nil {
		amiss = append(amiss, httpapi.Trouble{Part: "backup", Message: "the last backup failed and is tried again; the log tells why"})
	}
	if age := s.Backups.Late(); age > 0 {
		amiss = append(amiss, httpapi.Trouble{Part: "backup", Message: fmt.Sprintf("there is no whole backup of the last %s; look at the target and at the log", age.Round(time.Second))})
	}
	return amiss
}
