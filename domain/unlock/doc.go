// Package unlock decides whether a door opens: the permission rows of a site, the
// Table made of them, and Decide. The same code answers in the service and in
// every lock gateway, so that both answer the same.
//
// # Why rows refer to each other
//
// What is effective is the intersection of a grant, its booking, its unit and its
// parents, taken when somebody stands at the door. So ending a booking is one row
// and an expiry is none, and nothing has to be cut back in time to be safe. What
// is referred to and is not there denies.
//
// # Why persons are compiled as a whole
//
// A decision that follows references waits for memory at each of them. A person's
// credentials, grants, bookings and parents are therefore resolved when one of
// them changes, which concerns few people. Rights, schedules and the site are
// looked up at the door, for a whole site may hang on one of them, and a change of
// a row must not cost what its site does. Of most people all that matters beside
// their right fits beside the tag: see gist.
//
// # Why trees of hash tables
//
// A bare map is the quickest to ask, but to change it for readers who go on with
// the old one it has to be copied. Here a change copies a leaf of at most 512
// entries and the branches above it, and a look-up costs little more than in a
// map.
package unlock
