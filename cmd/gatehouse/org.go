package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"gatehouse/cmd/gatehouse/client"
)

// orgCmd is about orgs.
type orgCmd struct {
	Create orgCreateCmd `cmd:"" help:"Create an org and its owner with the bootstrap token of the service."`
}

// bootstrapFlags say to which service a first org is sent, and by which token.
type bootstrapFlags struct {
	URL   string `name:"url" env:"GATEHOUSE_URL" default:"http://127.0.0.1:8080" placeholder:"URL" help:"Where the service is."`
	Token string `placeholder:"TOKEN" help:"The bootstrap token; default: that of --bootstrap-file."`
	Data  string `env:"GATEHOUSE_DATA" default:"${data}" placeholder:"DIR" help:"Data directory of the service, where it left the bootstrap token."`
	JSON  bool   `name:"json" help:"Write JSON on one line, for scripts."`

	BootstrapFile string `placeholder:"FILE" help:"File with the bootstrap token; default: DATA/bootstrap.token."`
}

// orgCreateCmd makes an org.
type orgCreateCmd struct {
	bootstrapFlags

	Org        string `arg:"" help:"Id of the org, which can never be changed: a-z, 0-9, - and _."`
	Name       string `required:"" help:"Name of the org."`
	Owner      string `required:"" placeholder:"PERSON" help:"Id of the person who owns the org. Ids are not encrypted: choose one that says nothing about the person."`
	OwnerName  string `placeholder:"NAME" help:"Name of the owner; it is stored encrypted."`
	OwnerEmail string `placeholder:"EMAIL" help:"E-mail of the owner; it is stored encrypted."`
}

// Help gives an example.
func (orgCreateCmd) Help() string {
	return `The owner's token is shown once and not stored: keep it, and set GATEHOUSE_TOKEN to it. If
it is lost before its first use, run the same command again for another one. Its first use
ends the bootstrap token.

Example:

  export GATEHOUSE_TOKEN=$(gatehouse org create acme --name "Acme Storage" --owner olga)`
}

// Run makes the org and writes the owner's token.
func (c *orgCreateCmd) Run(w *world) error {
	_, err := c.create(w)
	return err
}

// create makes the org, writes the owner's token, and returns it.
func (c *orgCreateCmd) create(w *world) (ownerToken string, err error) {
	token, err := c.bootstrapToken()
	if err != nil {
		return "", err
	}
	remote, err := remote{URL: c.URL, Token: token, Org: c.Org}.client()
	if err != nil {
		return "", err
	}
	body, err := json.Marshal(map[string]string{"org": c.Org, "name": c.Name, "owner": c.Owner, "owner_name": c.OwnerName, "owner_email": c.OwnerEmail})
	if err != nil {
		return "", err
	}
	a, err := remote.Send(w.ctx, client.Request{Method: http.MethodPost, Path: "/v1/orgs", Body: body})
	if err != nil {
		return "", err
	}
	var made struct {
		Token   string `json:"token"`
		Expires string `json:"expires"`
	}
	if err := json.Unmarshal(a.Body, &made); err != nil {
		return "", err
	}
	if c.JSON {
		return made.Token, w.printJSON(a.Body, true)
	}
	w.say("The org %s is made. This is the token of %s, good until %s; it is not shown again:", c.Org, c.Owner, made.Expires)
	_, err = w.stdout.Write([]byte(made.Token + "\n"))
	return made.Token, err
}

// bootstrapToken is the one given, or that of the file.
func (c *bootstrapFlags) bootstrapToken() (string, error) {
	if c.Token != "" {
		return c.Token, nil
	}
	path := c.BootstrapFile
	if path == "" {
		path = filepath.Join(c.Data, bootstrapFile)
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", usage("there is no bootstrap token at %s: the service writes one when its ledger is empty, and takes it away once an org is made; name the file with --bootstrap-file, or the directory with --data", path)
	}
	if err != nil {
		return "", usage("the bootstrap token: %v", err)
	}
	return strings.TrimSpace(string(b)), nil
}
