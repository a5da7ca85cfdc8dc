package domain

// Area is a part of a site in which people are present.
type Area struct {
	ID   ID     `json:"id"`
	Site ID     `json:"site"`
	Name string `json:"name"`
}

func (a *Area) keys() []string { return []string{"site:" + string(a.Site)} }

var areaWords = words{}
