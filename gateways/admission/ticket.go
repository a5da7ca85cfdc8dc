package admission

import (
	"hash/crc32"
	"strings"
	"time"

	"github.com/nats-io/jwt/v2"

	"gatehouse/domain"
	"gatehouse/schemas/wire"
)

const (
	// lifetime is the greatest time after which a gateway must reconnect. early is by
	// how much it may come sooner, so that gateways which connected at once do not all
	// return at once.
	lifetime = time.Hour
	early    = 10 * time.Minute
	// A gateway subscribes to its orders and to one inbox, and a library may make
	// an inbox for each request.
	maxSubscriptions = 64
	// maxPayload bounds one message of a gateway, in bytes: a thousand records.
	maxPayload = wire.MaxAsk
	// answerTime is how long a gateway may take to answer an order.
	answerTime = 10 * time.Second
)

// ticket builds the answer to a server: the permissions of the gateway, or a refusal.
// The server does not tell the client the reason.
func (a *Admission) ticket(q *jwt.AuthorizationRequestClaims, who passport, why string) (string, error) {
	answer := jwt.NewAuthorizationResponseClaims(q.UserNkey)
	answer.Audience = q.Server.ID
	if why != "" {
		answer.Error = "not admitted"
		return answer.Encode(a.cfg.Issuer)
	}
	user := jwt.NewUserClaims(q.UserNkey)
	user.Name = who.name()
	user.Audience = a.cfg.Gateways
	user.Permissions = permissions(who)
	user.Limits.Subs, user.Limits.Payload = maxSubscriptions, maxPayload
	user.AllowedConnectionTypes = jwt.StringList{jwt.ConnectionTypeStandard, jwt.ConnectionTypeInProcess}
	spread := time.Duration(crc32.ChecksumIEEE([]byte(who.key))) % early
	user.Expires = a.cfg.Now().Add(lifetime - spread).Unix()
	text, err := user.Encode(a.cfg.Issuer)
	if err != nil {
		return "", err
	}
	answer.Jwt = text
	return answer.Encode(a.cfg.Issuer)
}

// permissions are the subjects of a gateway: its requests, its orders, the changes of its
// site's permissions, and the replies to its own requests. They exclude all of JetStream. A client that may make consumers
// can take over those of others. One that may publish to a stream can fill the disk of
// all orgs, delay the appends of others by batches that it does not end, and read the
// last sequences of their subjects by its guards.
func permissions(who passport) jwt.Permissions {
	org, gateway := wire.ID(who.org), wire.ID(who.gateway)
	return jwt.Permissions{
		Pub:  jwt.Permission{Allow: jwt.StringList{wire.AskSubject(org, gateway)}},
		Sub:  jwt.Permission{Allow: jwt.StringList{wire.OrderSubject(org, gateway), wire.TableSubject(org, wire.ID(who.site)), wire.InboxPrefix(org, gateway) + ".>"}},
		Resp: &jwt.ResponsePermission{MaxMsgs: 1, Expires: answerTime},
	}
}

// passport is a gateway and the key with which it connected.
type passport struct {
	org, gateway, site domain.ID
	key                domain.GatewayKey
}

// name is the user name of an admitted connection. It contains the org, the gateway and
// the key with which it connected.
func (p passport) name() string {
	return string(p.org) + "/" + string(p.gateway) + "/" + string(p.key)
}

// parseName parses the result of name; ok is false for any other text.
func parseName(s string) (p passport, ok bool) {
	parts := strings.Split(s, "/")
	if len(parts) != 3 {
		return passport{}, false
	}
	return passport{org: domain.ID(parts[0]), gateway: domain.ID(parts[1]), key: domain.GatewayKey(parts[2])}, true
}
