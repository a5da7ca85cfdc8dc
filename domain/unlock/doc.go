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
// # Whoever lets others in is in good standing
//
// Access by the booking of another person opens only while that person is in
// good standing: active, neither suspended nor with an identity that is pending.
// That holds for those with whom a booking is shared, at every sharer up to the
// tenant, and for the unit users of a booking alike: what they have is the
// tenant's, and stands and falls with them. Of the tenant it says nothing more: their
// own state denies them, also as a user of their own unit. A row names the tenant
// already, that of the booking, so that a suspension stays one row.
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
