package domain

// AccessRight is a set of doors, of one or several sites, with a schedule.
type AccessRight struct {
	ID       ID     `json:"id"`
	Name     string `json:"name"`
	Doors    []ID   `json:"doors"` // sorted
	Sites    []ID   `json:"sites"` // of the doors, sorted
	Schedule ID     `json:"schedule"`
}

func (r *AccessRight) keys() []string {
	k := []string{"schedule:" + string(r.Schedule)}
	for _, d := range r.Doors {
		k = append(k, "door:"+string(d))
	}
	for _, s := range r.Sites {
		k = append(k, "site:"+string(s))
	}
	return k
}

var accessRightWords = words{}
