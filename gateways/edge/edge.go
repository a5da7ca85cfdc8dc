// Package edge is the lock gateway: it follows the permissions of its site, decides at the
// doors, also while it is cut off, and brings back what happened, each thing once. It is
// one code for the small program at the doors and for a gateway within the service. Of
// Gatehouse it links what decides (domain/unlock), what is spoken (schemas/wire) and the
// port to devices, and neither rules nor store nor server.
//
// # Who does what
//
//   - engine: decides reads and orders, and drives the machine of each door
//     (gateways/edge/door). One goroutine; devices have one each for their commands.
//   - follower: takes changes of the table as they are told, and asks for what is missing.
//   - leaser: greets the service, and asks whether the table is current. The request with
//     the head of the table is the receipt of it too.
//   - upload: sends the records of the outbox.
//   - drivers: report what happens at devices.
//
// # What is in the directory
//
// identity.json (gateways/edge/identity), table (the messages that the table was built
// from), outbox (records, until the service has them and they are folded), local.json (use
// counts, keypads and the like, a fold of records), state.json (clock, lease and the last
// position), tag.key. Each is replaced as a whole or only appended to. One that is damaged
// is said, and costs what it held: without a table every door is shut, without a state
// there is no lease.
package edge
