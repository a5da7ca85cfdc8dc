// Package door is the state machine of one door: no clock, no input or output, no
// goroutine. It is told what happened, and says what the device is to do and what is
// recorded.
//
// # Which record tells what
//
// An event of a device gives one record, or none if it tells nothing new. An opening by a
// grant is access.taken, by a request to exit door.opened with that method, by nobody
// door.forced_open.
//
// Each grant ends with exactly one record that names it as Of:
//
//   - access.taken by the sensor: the contact showed an opening for it.
//   - access.not_taken by the sensor: the contact was watched, and there was none.
//     Without the sensor: the device did nothing, or a lockdown came first.
//   - access.taken, assumed: nobody knows. The door has no contact, or stood open, or its
//     device was lost, or the gateway restarted. A count of those inside had rather have
//     one too many than leave somebody in a fire, so unknown is an assumed passage.
//     Evidence is only what the sensor showed.
//
// # Several at one door
//
// A contact does not count people. If several were let through before one opening, the
// oldest is taken to have opened. Each other may open once more within their time, which
// is told by the sensor; else they are assumed to have passed with the first. The same
// holds for somebody who was let through while the leaf was open.
//
// While the door stands open by its posture or in a fire, nobody is released, nothing is
// forced and nothing held; an access is assumed at once.
//
// # The bolt
//
// Posture and fire move the bolt by Unlock and Lock, tried again until the device has done
// so: after 1, 2, 4 … 60 s, and when it answers again. A Release is never repeated. A fire
// is above a lockdown; after it the posture holds again. A lockdown locks at once if
// somebody could come in; those going out keep their release, and their opening is no
// forcing. Somebody who locks a door by key while it stands open wants it closed: it stays
// so until its posture changes. A door that locks itself is opened again, less and less
// often.
//
// An opening is forced only where the bolt is known to be locked and nobody was let
// through. The first opening that a driver reports without an instant after the device was
// lost, or after a start of the gateway, may be old: it is door.opened, assumed. Drivers
// report where the leaf is as soon as they reach a device, so this lasts no longer.
//
// Events that a device kept for later are judged by their own instant: against the
// passages of that time, even those that are over, and against a door that may have stood
// open then. The clock of a device may be 10 s off.
//
// # The table
//
// For each input and states: the next state, and the effects in order. Commands begin
// with a capital letter. Records have how they are known behind the slash; none: the
// gateway did it itself. The states are those of Mode, and
//
//   - new: unlocked, for nobody knows, and the device has not answered yet.
//   - opening, locking: standing and unlocked, while the bolt has not moved yet.
//   - troubled: locked, with a tampered case, a low battery, codes that the device should
//     not hold, and a lost device.
//   - blind, blind-granted: locked and granted, at a door without a contact.
//
// "every" stands for all states, "other" for those that no other line of the input names,
// "same" for the state as it was. The door is locked as soon as it is closed. The grant at
// which a state begins is 7; may-enter and may-leave are the grant 8 at a reader outside
// and inside.
//
//	may-enter           | new locked unsure exiting unlocked locking blind | granted | Release
//	may-enter           | granted open held blind-granted | same | Release
//	may-enter           | standing opening fire | same | access.taken/assumed
//	may-enter           | lockdown | same | access.not_taken
//	may-enter           | troubled | unsure | Release
//	may-leave           | new locked unsure exiting unlocked locking lockdown blind | granted | Release
//	may-leave           | granted open held blind-granted | same | Release
//	may-leave           | standing opening fire | same | access.taken/assumed
//	may-leave           | troubled | unsure | Release
//	opened              | new exiting unlocked locking | open | door.opened/sensor
//	opened              | locked lockdown | open | door.forced_open/sensor
//	opened              | granted unsure | open | access.taken/sensor
//	opened              | open held | same |
//	opened              | standing opening fire blind blind-granted | same | door.opened/sensor
//	opened              | troubled | open | door.opened/assumed
//	closed              | other | same |
//	closed              | open | locked | door.closed/sensor Lock
//	closed              | held | locked | door.held_open_cleared/sensor
//	closed              | blind blind-granted | same | door.closed/sensor
//	exit-requested      | new locked unlocked locking lockdown troubled blind | exiting | exit.requested/sensor
//	exit-requested      | granted unsure open held standing opening fire blind-granted | same | exit.requested/sensor
//	exit-requested      | exiting | same |
//	key-unlocks         | other | same | door.unlocked/sensor
//	key-unlocks         | locked lockdown troubled blind | unlocked | door.unlocked/sensor
//	code-unlocks        | other | same | door.unlocked/claimed
//	code-unlocks        | locked lockdown troubled blind | unlocked | door.unlocked/claimed
//	unlocks-itself      | other | same |
//	unlocks-itself      | locked lockdown troubled blind | unlocked | door.unexplained_open/sensor
//	unlocks-itself      | held | same | door.unexplained_open/sensor
//	key-locks           | new | locked |
//	key-locks           | other | same |
//	key-locks           | unlocked locking | locked | door.locked/sensor
//	key-locks           | standing | same | door.locked/sensor
//	key-locks           | fire | same | door.locked/sensor Unlock
//	locks-itself        | new | locked |
//	locks-itself        | other | same |
//	locks-itself        | unlocked locking | locked | door.locked/sensor
//	locks-itself        | standing fire | same | door.locked/sensor Unlock
//	stand-open          | other | standing | Unlock
//	stand-open          | standing opening fire | same |
//	normal              | new | same | Lock
//	normal              | other | same |
//	normal              | standing | unlocked | Lock
//	normal              | opening | locked | Lock
//	normal              | lockdown | locked |
//	lockdown            | new granted unsure unlocked blind-granted | same | Lock
//	lockdown            | locked troubled blind | lockdown |
//	lockdown            | exiting open held locking fire lockdown | same |
//	lockdown            | standing | unlocked | Lock
//	lockdown            | opening | lockdown | Lock
//	fire                | new | same | fire.raised/sensor
//	fire                | other | fire | fire.raised/sensor Unlock
//	fire                | fire | same |
//	fire-over           | other | same |
//	fire-over           | fire | unlocked | fire.cleared/sensor Lock
//	tampered            | other | same | door.tampered/sensor
//	tampered            | troubled | same |
//	tamper-over         | other | same |
//	tamper-over         | troubled | same | door.tamper_cleared/sensor
//	battery-low         | other | same | battery.low/sensor
//	battery-low         | troubled | same |
//	battery-good        | other | same |
//	battery-good        | troubled | same | battery.restored/sensor
//	drifted             | other | same | device.drifted/sensor
//	drifted             | troubled | same |
//	mended              | other | same |
//	mended              | troubled | same | device.mended/sensor
//	online              | new | same | device.online/sensor Lock
//	online              | locked granted unsure exiting open held unlocked lockdown blind blind-granted | same |
//	online              | standing opening fire | same | Unlock
//	online              | locking | same | Lock
//	online              | troubled | same | device.online/sensor
//	offline             | other | same | device.offline/sensor
//	offline             | granted blind-granted | unsure | device.offline/sensor
//	offline             | troubled | same |
//	missed              | other | same | records.gap/sensor
//	missed              | granted blind-granted | unsure | records.gap/sensor
//	release-done        | new | locked |
//	release-done        | other | same |
//	release-done        | unlocked | locked | door.locked/assumed
//	release-done        | blind-granted | locked | access.taken/assumed
//	release-unconfirmed | other | same |
//	release-unconfirmed | blind-granted | locked | access.taken/assumed
//	release-offline     | other | same |
//	release-offline     | granted unsure blind-granted | locked | access.not_taken
//	unlock-done         | new granted unsure exiting open held unlocked blind-granted | same | door.unlocked Lock
//	unlock-done         | locked lockdown troubled blind | unlocked | door.unlocked Lock
//	unlock-done         | standing locking fire | same |
//	unlock-done         | opening | same | door.unlocked
//	unlock-failed       | every | same |
//	lock-done           | new | locked |
//	lock-done           | other | same |
//	lock-done           | unlocked locking | locked | door.locked
//	lock-done           | standing fire | same | door.locked Unlock
//	lock-failed         | every | same |
//	time                | new locked held unlocked standing fire lockdown troubled blind | same |
//	time                | granted | locked | access.not_taken/sensor
//	time                | unsure blind-granted | locked | access.taken/assumed
//	time                | exiting | locked |
//	time                | open | held | door.held_open/sensor
//	time                | opening | same | Unlock
//	time                | locking | same | Lock
package door
