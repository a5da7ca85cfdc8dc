// Package unlock decides whether a door opens. It has the permission rows of a site,
// the Table made of them, and Decide. The same code answers in the service and in every
// lock gateway, so that both give the same answer.
//
// # Why rows refer to each other
//
// A permission in effect is the intersection of a grant, its booking, its unit and its
// parents, computed when somebody stands at the door. So ending a booking changes one
// row and an expiry changes none, and nothing has to be cut back in time to be safe. A
// missing row that is referred to denies.
//
// # Why a sharer must be in good standing
//
// Access by the booking of another person opens only while that person is in good
// standing: active, neither suspended nor with a pending identity. That holds for the
// people with whom a booking is shared, at every sharer up to the tenant, and likewise
// for the unit users of a booking: their access is the tenant's and ends with it. The
// tenants themselves are denied by their own state, also as users of their own unit.
// The row of the booking already names the tenant, so that a suspension stays one row.
//
// # Why persons are compiled as a whole
//
// A decision that follows references waits for memory at each of them. A person's
// credentials, grants, bookings and parents are therefore resolved when one of them
// changes, which concerns few people. Rights, schedules and the site are looked up at
// the door: a whole site may depend on one of them, and a change of one row must not
// cost as much as the site. For most people, everything that matters beside their right
// fits beside the tag: see gist.
//
// # Why a trace
//
// A decision on compiled access no longer tells at which row something failed: windows
// are intersected and denials united. Trace decides with the same checks, row by row, for
// people who ask why. Explanations are made from traces, so that no rule is written again
// where it is explained.
//
// # Why trees of hash tables
//
// A bare map is the quickest to query, but it has to be copied to change it while
// readers keep the old one. Here a change copies a leaf of at most 512 entries and the
// branches above it, and a look-up costs little more than in a map.
package unlock
