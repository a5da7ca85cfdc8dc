package natsserver

import (
	"slices"

	"github.com/nats-io/nats-server/v2/server"

	"gatehouse/eventstore/streams"
)

// purged are the streams of which the service takes out what nobody needs any more:
// old bases and cursors of permissions, which follow from the ledger. It may purge no
// other.
var purged = []string{streams.Permissions}

// DeniedSubjects are those to which the service itself may not publish, in the
// server within the process as in deploy/nats/server.conf: by them a stream that
// stands is changed or emptied, so neither a mistake nor the service's seed in other
// hands takes away what was acknowledged. Streams are changed with the seed of the
// operator ([ApplyStreams]). To make them it may: a stream that stands is not changed
// by that.
func DeniedSubjects() []string {
	denied := []string{
		"$JS.API.STREAM.UPDATE.>", "$JS.API.STREAM.DELETE.>", "$JS.API.STREAM.MSG.DELETE.>", "$JS.API.STREAM.RESTORE.>", "$JS.API.STREAM.PEER.REMOVE.>",
	}
	for _, w := range streams.Wanted(1) {
		if !slices.Contains(purged, w.Name) {
			denied = append(denied, "$JS.API.STREAM.PURGE."+w.Name)
		}
	}
	return denied
}

// servicePermissions are the permissions of the service in the server within the
// process.
func servicePermissions() *server.Permissions {
	return &server.Permissions{Publish: &server.SubjectPermission{Allow: []string{">"}, Deny: DeniedSubjects()}}
}
