package unlock

import "strings"

// packed are several short texts in one: a byte for the length of each, then the texts.
// Rows of which there are many keep their texts so.
type packed string

// pack takes texts of at most [MaxID] bytes.
func pack(texts ...string) packed {
	n := len(texts)
	for _, t := range texts {
		n += len(t)
	}
	var b strings.Builder
	b.Grow(n)
	for _, t := range texts {
		b.WriteByte(byte(len(t)))
	}
	for _, t := range texts {
		b.WriteString(t)
	}
	return packed(b.String())
}

// text gives text i of so many.
func (p packed) text(i, of int) string {
	from := of
	for n := range i {
		from += int(p[n])
	}
	return string(p[from : from+int(p[i])])
}
