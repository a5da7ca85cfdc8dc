package main

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"filippo.io/age"

	"gatehouse/eventstore/backup"
)

// backupCmd is about backups.
type backupCmd struct {
	Run    backupRunCmd    `cmd:"" default:"withargs" help:"Back up a running service to a folder or to S3."`
	Verify backupVerifyCmd `cmd:"" help:"Check a backup as a whole; no service is needed."`
}

// backupTarget says where a backup lies.
type backupTarget struct {
	S3Endpoint string `name:"s3-endpoint" env:"GATEHOUSE_S3_ENDPOINT" placeholder:"URL" help:"Storage for s3:// that is not Amazon's, as https://host:port."`
	S3Region   string `name:"s3-region" env:"GATEHOUSE_S3_REGION" placeholder:"REGION" help:"Its region, if it has one."`
}

func (t backupTarget) open(target string) (backup.Target, error) {
	to, err := backup.OpenTarget(target, backup.S3{Endpoint: t.S3Endpoint, Region: t.S3Region})
	if err != nil {
		return nil, usage("%v", err)
	}
	return to, nil
}

// backupFlags say how a backup is written.
type backupFlags struct {
	backupTarget   `embed:""`
	Recipients     []string `name:"backup-recipient" aliases:"recipient" env:"GATEHOUSE_BACKUP_RECIPIENTS" placeholder:"KEY" help:"Public key (age1…) to encrypt the backup to. Any one of several can decrypt it. Keep the secret key on another machine."`
	Plain          bool     `name:"backup-plain" aliases:"plain" env:"GATEHOUSE_BACKUP_PLAIN" help:"Do not encrypt: anybody who can read the target can read the ledger, except personal data."`
	VaultCopiesFor lifetime `name:"vault-copies-for" env:"GATEHOUSE_VAULT_COPIES_FOR" default:"7d" placeholder:"DURATION" help:"How long copies of the vault are kept. Destroyed keys remain in the backup for this long."`
}

func (f backupFlags) options(w *world, spool string, log *slog.Logger) backup.Options {
	return backup.Options{Recipients: f.Recipients, Plain: f.Plain, VaultCopiesFor: time.Duration(f.VaultCopiesFor), Spool: spool, Now: w.now, Log: log}
}

// backupRunCmd makes a backup.
type backupRunCmd struct {
	Target string `arg:"" help:"A folder, or s3://bucket/prefix."`
	Data   string `env:"GATEHOUSE_DATA" default:"${data}" placeholder:"DIR" help:"Data directory of the running service."`
	backupFlags
	JSON bool `name:"json" help:"Write JSON on one line, for scripts."`
}

// Help tells who may do it and gives examples.
func (backupRunCmd) Help() string {
	return `It copies the new records of the ledger, activity, permissions and refusals, and the whole
vault, from the service that runs on DATA. It needs no token, but permission to open the
files of DATA. If it was stopped, run it again: it continues where it stopped. It checks
the chain of commits of each org, and does not back up an org with a broken chain.

The backup is encrypted to the recipients: create an identity with age-keygen, keep it on
another machine, and give its public key. The backup does not contain the master key of the
vault: keep a copy of GATEHOUSE_VAULT_KEY or DATA/vault.key in another place as well. The S3
credentials are AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.

Examples:

  gatehouse backup /mnt/backup/gatehouse --backup-recipient age1…
  gatehouse backup s3://backups/gatehouse --s3-endpoint https://minio:9000 --backup-recipient age1…
  gatehouse serve --backup s3://backups/gatehouse --backup-every 1h --backup-recipient age1…`
}

// Run makes a backup and tells of it.
func (c *backupRunCmd) Run(w *world) error {
	target, err := c.open(c.Target)
	if err != nil {
		return err
	}
	writer, err := backup.NewWriter(target, backup.Running(c.Data), c.options(w, c.Data, slog.New(slog.NewTextHandler(w.stderr, nil))))
	if errors.Is(err, backup.ErrRecipients) {
		return usage("%v; --backup-recipient or --plain", err)
	}
	if err != nil {
		return usage("%v", err)
	}
	r, err := writer.Run(w.ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return w.print(r, true)
	}
	n := 0
	for _, messages := range r.Messages {
		n += messages
	}
	for _, flaw := range r.Flaws {
		w.say("A chain of activity is broken, and was copied as it is: %s", flaw)
	}
	_, err = fmt.Fprintf(w.stdout, "%s: run %d, %d new messages, %d bytes written; the backup has %d objects and %d bytes\n",
		target, r.Run, n, r.Written, r.Objects, r.Size)
	return err
}

// backupVerifyCmd verifies a backup.
type backupVerifyCmd struct {
	Target string `arg:"" help:"A folder, or s3://bucket/prefix."`
	backupTarget
	identityFlags `embed:""`
	JSON          bool `name:"json" help:"Write JSON on one line, for scripts."`
}

// Help gives examples.
func (backupVerifyCmd) Help() string {
	return `It reads the whole backup and checks the hash of each object, that no object is missing, and
the chain and number of commits of each org. It lists the position where each org ends. It
does not decrypt the contents of the vault. If it finds an error, it shows the object, org
and position, and the exit code is 1.

Examples:

  gatehouse backup verify /mnt/backup/gatehouse --identity key.txt
  gatehouse backup verify s3://backups/gatehouse --s3-endpoint https://minio:9000 --identity key.txt`
}

// Run verifies the backup and lists the heads.
func (c *backupVerifyCmd) Run(w *world) error {
	target, err := c.open(c.Target)
	if err != nil {
		return err
	}
	identities, err := c.identities()
	if err != nil {
		return err
	}
	b, err := backup.Open(w.ctx, target, identities...)
	if err != nil {
		return err
	}
	report, err := b.Verify(w.ctx)
	for _, flaw := range report.Flaws {
		w.say("A chain of activity was broken before it was backed up: %s", flaw)
	}
	for _, o := range report.Unlisted {
		w.say("%s (%d bytes) is no part of the backup: a run was killed; it may be removed", o.Name, o.Size)
	}
	if !report.Complete {
		w.say("The last run did not come to its end: the newest commits may have personal data whose keys the copy of the vault lacks.")
	}
	if err != nil {
		return err
	}
	if c.JSON {
		return w.print(report, true)
	}
	table := tabwriter.NewWriter(w.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ORG\tPOSITION\tHASH\tAT")
	for _, org := range slices.Sorted(maps.Keys(report.Heads)) {
		h := report.Heads[org]
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", org, h.Position, h.Hash, h.At.UTC().Format(time.RFC3339))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	var counts []string
	for _, stream := range slices.Sorted(maps.Keys(report.Messages)) {
		counts = append(counts, fmt.Sprintf("%d in %s", report.Messages[stream], stream))
	}
	w.say("%s is whole: %s; %d bytes, as of %s", target, strings.Join(counts, ", "), report.Size, b.Manifest().Begun.UTC().Format(time.RFC3339))
	return nil
}

// identityFlags name what opens a backup.
type identityFlags struct {
	Identities []string `name:"identity" env:"GATEHOUSE_BACKUP_IDENTITIES" placeholder:"FILE" help:"File with an age identity that the backup was encrypted to."`
}

// identities reads the files.
func (i identityFlags) identities() ([]age.Identity, error) {
	var all []age.Identity
	for _, file := range i.Identities {
		f, err := os.Open(file)
		if err != nil {
			return nil, usage("--identity: %v", err)
		}
		some, err := age.ParseIdentities(f)
		if err := errors.Join(err, f.Close()); err != nil {
			return nil, usage("--identity %s: %v", file, err)
		}
		all = append(all, some...)
	}
	return all, nil
}
