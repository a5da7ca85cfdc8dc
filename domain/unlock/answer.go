package unlock

// Answer is a decision.
type Answer struct {
	// Failed are all checks that failed. Those of an allowance only mark: a fire or
	// a posture lets everybody through, the side is out, or the rule is to mark.
	Failed Checks

	table        *Table
	credential   *credential // nil: none
	holder       *holder     // nil: nobody known, or not looked up as the gist was enough
	link         uint32      // of the holder; 0: none
	secondDuress bool        // what was shown as the second factor is for duress

	Allowed bool
	// Code is the primary reason.
	Code Code
}

// Grant gives the grant that opens, or the one that came closest; nil: none is
// for the door. It must not be changed.
func (a Answer) Grant() *Grant {
	if a.link == 0 {
		return nil
	}
	return a.who().link(a.link).grant
}

// Source gives what that grant comes from; zero without a grant.
func (a Answer) Source() Source {
	if a.link == 0 {
		return 0
	}
	return a.who().link(a.link).source
}

// Credential gives the credential that the request turned out to be about; nil:
// none.
func (a Answer) Credential() *Credential {
	if a.credential == nil {
		return nil
	}
	return a.credential.row()
}

// Duress reports whether somebody showed what they show when forced to, allowed
// or not. The gateway records it and raises no sign of it at the door.
func (a Answer) Duress() bool {
	c := a.credential
	return a.secondDuress || c != nil && c.marks&duress != 0
}

// Person gives the person that the request turned out to be about; nil: nobody
// known. It must not be changed.
func (a Answer) Person() *Person {
	if h := a.who(); h != nil {
		return h.person
	}
	return nil
}

// who gives the holder that the answer is about; nil: nobody known.
func (a Answer) who() *holder {
	if a.holder == nil && a.credential != nil {
		return a.table.holders.get(a.credential.person)
	}
	return a.holder
}
