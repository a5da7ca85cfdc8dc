package domain

import "iter"

// manyCredentials is from how many credentials of one person on the sites of these are
// counted rather than collected.
const manyCredentials = 32

// crowds count the credentials of people who have many, by the sites where they are known.
// So one more does not cost what all of them do.
type crowds map[ID]map[ID]int

// follow counts after a change of a credential, which is in the table already.
func (c crowds) follow(t *table[Credential], old, now *row[Credential]) {
	var counted ID
	for i, r := range [...]*row[Credential]{old, now} {
		if r == nil || r.v.Person == "" || r.v.Person == counted {
			continue
		}
		person := r.v.Person
		switch {
		case t.Count(CredentialByPerson, person) < manyCredentials:
			delete(c, person)
		case c[person] == nil:
			c[person], counted = map[ID]int{}, person
			for _, cr := range t.unsorted(CredentialByPerson, person) {
				c.add(cr, 1)
			}
		default:
			c.add(&r.v, 2*i-1) // the old one goes, the new one comes
		}
	}
}

func (c crowds) add(cr *Credential, n int) {
	sites := c[cr.Person]
	for _, site := range cr.Sites {
		if sites[site] += n; sites[site] == 0 {
			delete(sites, site)
		}
	}
}

// credentialSites yields the sites at which credentials of a person are known, in no
// order and perhaps several times.
func (s *State) credentialSites(person ID) iter.Seq[ID] {
	return func(yield func(ID) bool) {
		if sites := s.crowds[person]; sites != nil && s.Credentials.hidden == nil {
			for site := range sites {
				if !yield(site) {
					return
				}
			}
			return
		}
		for _, c := range s.Credentials.unsorted(CredentialByPerson, person) {
			for _, site := range c.Sites {
				if !yield(site) {
					return
				}
			}
		}
	}
}
