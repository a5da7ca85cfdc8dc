package unlock

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// maxSet bounds the sets of one row; a right may have every door of a site.
const maxSet = 200_000

// maxLease is the ceiling of a lease, 72 h, in seconds.
const maxLease = 72 * 3600

func (r *Site) check() error {
	var leases error
	if min(r.LeaseStandard, r.LeaseCritical) < 1 || max(r.LeaseStandard, r.LeaseCritical) > maxLease {
		leases = fmt.Errorf("leases run for 1 to %d s, not %d and %d", maxLease, r.LeaseStandard, r.LeaseCritical)
	}
	return errors.Join(checkID(r.ID), checkRef(r.FobSchedule), checkRef(r.PostureSource), checkEnum(postureTexts, r.Posture), leases,
		r.Zone.Validate(), r.Calendar.Validate(), r.Blackouts.Validate())
}

func (r *Door) check() error {
	return errors.Join(checkID(r.ID), checkRef(r.AreaIn), checkRef(r.AreaOut), checkRef(r.Unit), checkRef(r.Gateway), checkRef(r.PostureSource),
		checkIDs("hours", r.Hours),
		checkEnum(doorClassTexts, r.Class), checkEnum(postureTexts, r.Posture), checkEnum(afterLeaseTexts, r.AfterLease),
		checkEnum(factorTexts, r.Factor), checkEnum(presenceTexts, r.Presence),
		checkRemote("a door", r.Capabilities), r.Blackouts.Validate())
}

// checkRemote refuses what is no set of capabilities remotely.
func checkRemote(what string, set []Capability) error {
	err := checkEnums(capabilityTexts, set)
	if len(set) > 0 && slices.Max(set) > UnlockFor {
		err = errors.Join(err, fmt.Errorf("%s cannot have the capability %s", what, slices.Max(set)))
	}
	return err
}

func (r *Right) check() error {
	errs := []error{checkID(r.ID), checkRef(r.Schedule), checkIDs("doors", r.Doors), checkRemote("a right", r.Capabilities)}
	if h := r.Hours; h != nil {
		errs = append(errs, checkID(h.Schedule))
		if h.Grace > MaxGrace {
			errs = append(errs, fmt.Errorf("the grace of business hours is at most %d s, not %d", MaxGrace, h.Grace))
		}
	}
	return errors.Join(errs...)
}

// checkIDs refuses what is no set of ids.
func checkIDs(what string, set []string) error {
	errs := []error{checkSorted(what, set, cmp.Compare)}
	for _, id := range set {
		errs = append(errs, checkID(id))
	}
	return errors.Join(errs...)
}

func (r *Schedule) check() error {
	errs := []error{checkID(r.ID), r.Schedule.Validate(), checkSorted("closed", r.Closed, Window.Compare)}
	for _, w := range r.Closed {
		errs = append(errs, w.check())
	}
	return errors.Join(errs...)
}

func (r *Person) check() error {
	return errors.Join(checkID(r.ID), checkEnum(personStateTexts, r.State))
}

func (r *Unit) check() error {
	errs := []error{checkID(r.ID), checkEnum(unitStateTexts, r.State),
		checkSorted("rights", r.Rights, func(a, b UnitRight) int { return cmp.Compare(a.Right, b.Right) })}
	for _, u := range r.Rights {
		errs = append(errs, checkID(u.Right), checkRef(u.Schedule))
	}
	return errors.Join(errs...)
}

func (r *Booking) check() error {
	return errors.Join(checkID(r.ID), checkID(r.Unit), checkID(r.Person), r.Window.check(),
		checkEnum(bookingStateTexts, r.State))
}

func (r *Credential) check() error {
	var kind error
	if r.Kind == AnyKind {
		kind = errors.New("a credential has a kind")
	}
	var home error
	if r.Home != "" && r.MaxUses == 0 {
		home = errors.New("a credential with a home has a number of uses")
	}
	return errors.Join(checkID(r.ID), checkID(r.Person), checkRef(r.Format), checkRef(r.Booking), checkRef(r.Schedule), checkRef(r.Home), r.Window.check(),
		checkEnum(credentialKindTexts, r.Kind), kind, home, checkEnum(credentialStateTexts, r.State))
}

func (r *Grant) check() error {
	var right error
	if r.Right == "" && r.Booking == "" {
		right = errors.New("a grant without a right has a booking, whose unit has one")
	}
	return errors.Join(checkID(r.ID), checkID(r.Person), checkRef(r.Right), checkRef(r.Booking), checkRef(r.Parent),
		checkRef(r.Schedule), r.Window.check(), right, checkEnums(credentialKindTexts, r.Kinds),
		checkEnums(capabilityTexts, r.Capabilities), checkEnum(sourceTexts, r.Source), checkEnum(grantStateTexts, r.State))
}

func (w Window) check() error {
	if w.From != 0 && w.Until != 0 && w.From > w.Until {
		return fmt.Errorf("the window ends at %s, before %s when it begins", w.Until, w.From)
	}
	return nil
}

// Compare orders windows by their beginning, then by their end.
func (w Window) Compare(other Window) int {
	return cmp.Or(cmp.Compare(w.From, other.From), cmp.Compare(w.Until, other.Until))
}

// checkID refuses what cannot be the id of a row.
func checkID(id string) error {
	if id == "" {
		return errors.New("an id is missing")
	}
	return checkRef(id)
}

// checkRef refuses what can neither be the id of a row nor empty.
func checkRef(id string) error {
	if len(id) > MaxID {
		return fmt.Errorf("an id has %d bytes, at most %d are allowed", len(id), MaxID)
	}
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return fmt.Errorf("the id %q has other than visible ASCII characters", id)
		}
	}
	return nil
}

func checkEnum[E ~uint8](texts []string, e E) error {
	if !known(texts, e) {
		return fmt.Errorf("%d is none of %q", e, enumTexts(texts))
	}
	return nil
}

func checkEnums[E ~uint8](texts []string, es []E) error {
	errs := []error{checkSorted("values", es, cmp.Compare)}
	for _, e := range es {
		if e == 0 {
			errs = append(errs, errors.New("a set holds no zero"))
		}
		errs = append(errs, checkEnum(texts, e))
	}
	return errors.Join(errs...)
}

func checkSorted[T any](what string, set []T, compare func(a, b T) int) error {
	if len(set) > maxSet {
		return fmt.Errorf("there are %d %s, at most %d are allowed", len(set), what, maxSet)
	}
	for i := 1; i < len(set); i++ {
		if compare(set[i-1], set[i]) >= 0 {
			return fmt.Errorf("the %s are not sorted, or one is there twice", what)
		}
	}
	return nil
}
