// Package wire encodes and decodes the messages between gateways and the service:
// activity records, orders and their answers, permission deltas and bases, positions
// and hashes. It also has the bounds of every byte that is read.
//
// # Why it is separate from schemas
//
// A gateway is a small program that decides by tables. Package schemas knows every
// command and event, and with them all rules of the domain; an importer of wire links
// the unlock decision and nothing else.
package wire

// ID is the id of an org, site, door, person or credential, as the domain gave it. Here
// it is a name alone: the domain checks its letters and its length.
type ID string
