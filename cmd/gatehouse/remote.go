package main

import (
	"net/url"
	"os"
	"strings"
	"unicode"

	"gatehouse/cmd/gatehouse/client"
)

// remote says to which service a verb speaks, and as whom.
type remote struct {
	URL   string `name:"url" env:"GATEHOUSE_URL" default:"http://127.0.0.1:8080" placeholder:"URL" help:"Where the service is."`
	Token string `env:"GATEHOUSE_TOKEN" placeholder:"TOKEN" help:"Token, or @FILE that holds it."`
	Org   string `env:"GATEHOUSE_ORG" placeholder:"ORG" help:"Org; default: the org of the token."`
	Site  string `env:"GATEHOUSE_SITE" placeholder:"SITE" help:"Site to act on. Times without an offset are in its time zone."`
	JSON  bool   `name:"json" help:"Write JSON on one line, for scripts."`
}

// client checks where and who the flags name.
func (r remote) client() (*client.Client, error) {
	u, err := url.Parse(r.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, usage("--url %s: it is written as http://127.0.0.1:8080", r.URL)
	}
	token := r.Token
	if path, isFile := strings.CutPrefix(token, "@"); isFile {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, usage("--token: %v", err)
		}
		token = string(text)
	}
	token = strings.TrimSpace(token)
	if strings.ContainsFunc(token, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		return nil, usage("--token: a token is one word, as gh.<org>.<token>.<secret>; this one has a blank or a line end within it")
	}
	org := r.Org
	// A token is gh.<org>.<id>.<secret>, so its org need not be named again.
	if parts := strings.Split(token, "."); org == "" && len(parts) == 4 {
		org = parts[1]
	}
	return newClient(strings.TrimRight(u.String(), "/"), token, org, r.Site), nil
}

// newClient makes a client of the service at a URL without a slash at the end.
func newClient(base, token, org, site string) *client.Client {
	c := client.New(base, token, org, site)
	c.Agent = "gatehouse/" + version()
	return c
}
