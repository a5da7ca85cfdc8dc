package schemas

import (
	"cmp"
	"slices"
	"strings"
)

// maxNearest is how many names [Nearest] proposes at most.
const maxNearest = 3

// Nearest lists up to three of names that were perhaps meant by one which is none
// of them: they differ from it in a third of its letters or fewer, or begin with
// it, in either case of letters. The nearest is first.
func Nearest(name string, names []string) []string {
	type candidate struct {
		name     string
		distance int
	}
	var found []candidate
	asked := strings.ToLower(name[:min(len(name), 64)]) // what is compared with every name is not left to a stranger's length
	for _, n := range names {
		there := strings.ToLower(n)
		d := distance(asked, there)
		if d <= max(2, len(asked)/3) || asked != "" && strings.HasPrefix(there, asked) {
			found = append(found, candidate{n, d})
		}
	}
	slices.SortStableFunc(found, func(a, b candidate) int { return cmp.Compare(a.distance, b.distance) })
	var out []string
	for _, c := range found[:min(len(found), maxNearest)] {
		out = append(out, c.name)
	}
	return out
}

// distance is how many letters must be put in, taken out or changed to make b of
// a (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
