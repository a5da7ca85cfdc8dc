package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"gatehouse/cmd/gatehouse/client"
	"gatehouse/cmd/gatehouse/input"
)

// tokenCmd is about tokens.
type tokenCmd struct {
	Issue  tokenIssueCmd  `cmd:"" help:"Issue a token for a person."`
	List   tokenListCmd   `cmd:"" help:"List tokens."`
	Revoke tokenRevokeCmd `cmd:"" help:"Revoke tokens."`
}

// lifetime is a duration that may also be given in days, as 90d.
type lifetime time.Duration

// UnmarshalText reads 90d, 12h or 45m.
func (l *lifetime) UnmarshalText(text []byte) error {
	if days, ok := strings.CutSuffix(string(text), "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil || n < 1 || n > 366 {
			return fmt.Errorf("%q is no number of days from 1d to 366d", text)
		}
		*l = lifetime(time.Duration(n) * 24 * time.Hour)
		return nil
	}
	d, err := time.ParseDuration(string(text))
	if err != nil || d <= 0 {
		return fmt.Errorf("%q is no duration; write 90d or 12h", text)
	}
	*l = lifetime(d)
	return nil
}

// tokenIssueCmd issues a token.
type tokenIssueCmd struct {
	Remote  remote   `embed:""`
	Person  string   `required:"" placeholder:"PERSON" help:"Person that the token is for."`
	Scope   string   `enum:"full,read,metrics" default:"full" help:"What the token permits: full, read or metrics."`
	For     lifetime `default:"90d" placeholder:"DURATION" help:"How long the token is valid, at most 366d."`
	Expires string   `placeholder:"TIME" help:"When the token expires, instead of --for."`
}

// Help gives an example.
func (tokenIssueCmd) Help() string {
	return `The token is shown once and not stored. You can issue tokens for yourself and, with the role
system_manager, for people of a lower role.

Examples:

  gatehouse token issue --person stan
  gatehouse token issue --person olga --scope metrics --for 366d`
}

// Run issues a token and writes it.
func (c *tokenIssueCmd) Run(w *world) error {
	remote, err := c.Remote.client()
	if err != nil {
		return err
	}
	if err := remote.Authorized(); err != nil {
		return err
	}
	expires := w.now().Add(time.Duration(c.For))
	if c.Expires != "" {
		if expires, err = input.SiteClock(remote).Read(w.ctx, c.Expires); err != nil {
			return err
		}
	}
	body, err := json.Marshal(map[string]any{"person": c.Person, "scope": c.Scope, "expires": expires.UTC().Truncate(time.Second)})
	if err != nil {
		return err
	}
	// Its answer cannot be given twice, so what may have been lost is not sent again.
	a, err := remote.Send(w.ctx, client.Request{Method: http.MethodPost, Path: remote.OrgPath("tokens"), Body: body, Key: client.NewKey(), Once: true})
	if err != nil {
		return err
	}
	if c.Remote.JSON {
		return w.printJSON(a.Body, true)
	}
	var made struct {
		Token string `json:"token"`
		ID    string `json:"token_id"`
	}
	if err := json.Unmarshal(a.Body, &made); err != nil {
		return err
	}
	w.say("The token %s of %s is good until %s; it is not shown again:", made.ID, c.Person, expires.UTC().Format(time.RFC3339))
	_, err = fmt.Fprintln(w.stdout, made.Token)
	return err
}

// tokenListCmd lists tokens.
type tokenListCmd struct {
	Remote remote `embed:""`
	Person string `placeholder:"PERSON" help:"Only the tokens of this person."`
}

// Help gives an example.
func (tokenListCmd) Help() string {
	return `It shows the tokens that you may see, without their secrets, which are not stored.

Example:

  gatehouse token list --person stan`
}

// Run lists the tokens, with --json one line each.
func (c *tokenListCmd) Run(w *world) error {
	remote, err := c.Remote.client()
	if err != nil {
		return err
	}
	if err := remote.Authorized(); err != nil {
		return err
	}
	query := url.Values{}
	if c.Person != "" {
		query.Set("person", c.Person)
	}
	if c.Remote.JSON {
		return remote.Each(w.ctx, remote.OrgPath("tokens"), query, func(item json.RawMessage) error { return w.printJSON(item, true) })
	}
	table := tabwriter.NewWriter(w.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "TOKEN\tPERSON\tSCOPE\tEXPIRES\tSTATE")
	err = remote.Each(w.ctx, remote.OrgPath("tokens"), query, func(item json.RawMessage) error {
		var t struct {
			ID, Person, Scope string
			Expires           time.Time
			Revoked           bool
		}
		if err := json.Unmarshal(item, &t); err != nil {
			return err
		}
		state := "good"
		switch {
		case t.Revoked:
			state = "revoked"
		case !w.now().Before(t.Expires):
			state = "expired"
		}
		_, err := fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", t.ID, t.Person, t.Scope, t.Expires.UTC().Format(time.RFC3339), state)
		return err
	})
	if flushErr := table.Flush(); err == nil {
		err = flushErr
	}
	return err
}

// tokenRevokeCmd revokes tokens.
type tokenRevokeCmd struct {
	Remote remote   `embed:""`
	Tokens []string `arg:"" name:"token" help:"Ids of tokens, as list shows them: all or none are revoked."`
}

// Help gives an example.
func (tokenRevokeCmd) Help() string {
	return `Example:

  gatehouse token revoke 0198f2c4-5a3e-7bd2-9d0a-3c1f7e6b5a49`
}

// Run revokes the tokens in one commit.
func (c *tokenRevokeCmd) Run(w *world) error {
	remote, err := c.Remote.client()
	if err != nil {
		return err
	}
	var list []map[string]string
	for _, t := range c.Tokens {
		list = append(list, map[string]string{"token": t})
	}
	body, err := json.Marshal(list)
	if err != nil {
		return err
	}
	result, err := remote.Command(w.ctx, "RevokeToken", body, "", nil)
	if err != nil {
		return err
	}
	return w.tellAnswer(result, c.Remote.JSON, sentCommand{"RevokeToken", body})
}
