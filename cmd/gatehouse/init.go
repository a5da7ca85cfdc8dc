package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"gatehouse/domain"
	"gatehouse/domain/schedule"
)

// initCmd makes an org with its owner and its first site.
type initCmd struct {
	bootstrapFlags
	Org        string `placeholder:"ORG" help:"Id of the org, which can never be changed: a-z, 0-9, - and _."`
	OrgName    string `placeholder:"NAME" help:"Name of the org; default: its id."`
	Owner      string `placeholder:"PERSON" help:"Id of the person who owns the org. Ids are not encrypted: choose one that says nothing about the person."`
	OwnerName  string `placeholder:"NAME" help:"Name of the owner; it is stored encrypted."`
	OwnerEmail string `placeholder:"EMAIL" help:"E-mail of the owner; it is stored encrypted."`
	Site       string `placeholder:"SITE" help:"Id of the first site."`
	SiteName   string `placeholder:"NAME" help:"Name of the site; default: its id."`
	Zone       string `placeholder:"ZONE" help:"Time zone of the site, as Europe/Berlin."`
	LockSystem string `default:"gatehouse" placeholder:"NAME" help:"Lock system to which the site is connected."`
}

// Help gives an example.
func (initCmd) Help() string {
	return `In a terminal it asks for missing flags: org, owner, site and zone. It creates the org with
the bootstrap token of the service, then creates and connects the site. It writes only the
owner's token to stdout. The token is shown once: store it, and set GATEHOUSE_TOKEN to it.

Example:

  export GATEHOUSE_TOKEN=$(gatehouse init --org acme --owner p-1041 --site north --zone Europe/Berlin)`
}

// Run asks for what is missing and sends what follows.
func (c *initCmd) Run(w *world) error {
	if err := c.complete(w); err != nil {
		return err
	}
	org := orgCreateCmd{bootstrapFlags: c.bootstrapFlags, Org: c.Org, Name: cmp.Or(c.OrgName, c.Org), Owner: c.Owner, OwnerName: c.OwnerName, OwnerEmail: c.OwnerEmail}
	token, err := org.create(w)
	if err != nil {
		return err
	}
	client, err := remote{URL: c.URL, Token: token, Org: c.Org}.client()
	if err != nil {
		return err
	}
	for _, command := range []struct {
		name   string
		fields map[string]string
	}{
		{"CreateSite", map[string]string{"site": c.Site, "name": cmp.Or(c.SiteName, c.Site), "zone": c.Zone}},
		{"ConnectSite", map[string]string{"site": c.Site, "lock_system": c.LockSystem}},
	} {
		body, err := json.Marshal(command.fields)
		if err != nil {
			return err
		}
		result, err := client.Command(w.ctx, command.name, body, "", nil)
		if err != nil {
			return fmt.Errorf("the org is made and its token shown, but not %s; send it with gatehouse do: %w", command.name, err)
		}
		told, err := readTold(result)
		if err != nil {
			return err
		}
		w.say("%s, %s", strings.Join(sentences(told.Events), "; "), told.Position)
	}
	return nil
}

// complete asks a person for what is missing, and refuses what would leave an org
// without its site.
func (c *initCmd) complete(w *world) error {
	in := bufio.NewReader(w.stdin)
	for _, q := range []struct {
		value             *string
		flag, asks, shape string
	}{
		{&c.Org, "--org", "Org", "its id, as acme"},
		{&c.Owner, "--owner", "Owner", "an id that says nothing about the person, as p-1041"},
		{&c.Site, "--site", "First site", "its id, as north"},
		{&c.Zone, "--zone", "Time zone", "as Europe/Berlin"},
	} {
		if *q.value == "" && onTerminal(w.stdin) {
			fmt.Fprintf(w.stderr, "%s (%s): ", q.asks, q.shape)
			line, err := in.ReadString('\n')
			if err != nil && err != io.EOF {
				return err
			}
			*q.value = strings.TrimSpace(line)
		}
		if *q.value == "" {
			return usage("%s is missing: %s", q.flag, q.shape)
		}
		if q.flag == "--zone" {
			if _, err := schedule.LoadRules(*q.value); err != nil {
				return usage("--zone: %v", err)
			}
		} else if err := domain.CheckID(domain.ID(*q.value)); err != nil {
			return usage("%s %s: %v", q.flag, *q.value, err)
		}
	}
	return nil
}
