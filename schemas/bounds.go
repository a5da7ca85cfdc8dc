package schemas

import "gatehouse/schemas/wire"

// The bounds of what the service alone reads. Those of what gateways read, and what
// bounds are, stand in [wire.Bounds].
var (
	// CommandBounds bound the body of a request with commands. That a list has at most
	// [domain.MaxList] entries is a rule of the domain, which names the field.
	CommandBounds = wire.Bounds{Size: 1 << 20, Items: 10_000, Count: 100_000}
	// BodyBounds bound the body of any other request.
	BodyBounds = wire.Bounds{Size: 1 << 20, Items: 10_000, Count: 100_000}
	// CommitBounds bound a commit as stored.
	CommitBounds = wire.Bounds{Size: MaxCommit}
)
