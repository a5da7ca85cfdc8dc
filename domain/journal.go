package domain

// touch names a row that changed.
type touch struct {
	table string
	id    ID
}

// journal remembers how to take changes back while a decision runs. It also remembers
// which rows the commits since the last look have changed.
type journal struct {
	tables  []anyTable
	n       uint64 // number of the commit that is folded or decided now
	depth   int
	undo    []func()
	touched map[touch]any // with the row as it was, nil when there was none; nil: nobody looks
	// supposed is touched for what is folded only to be looked at.
	supposed map[touch]any
}

// mark is a point to roll back to.
type mark struct{ undo int }

func (j *journal) begin() mark {
	j.depth++
	return mark{len(j.undo)}
}

func (j *journal) rollback(m mark) {
	for i := len(j.undo) - 1; i >= m.undo; i-- {
		j.undo[i]()
	}
	clear(j.undo[m.undo:])
	j.undo = j.undo[:m.undo]
	j.depth--
}

// keep ends a nested mark whose changes stay until the outer one is rolled back.
func (j *journal) keep() { j.depth-- }

func (j *journal) note(t touch, before any, undo func()) {
	if j.depth > 0 {
		j.undo = append(j.undo, undo)
		if _, known := j.supposed[t]; !known && j.supposed != nil {
			j.supposed[t] = before
		}
		return
	}
	if j.touched == nil {
		return
	}
	if _, known := j.touched[t]; !known {
		j.touched[t] = before
	}
}

// watch begins to note which rows change.
func (j *journal) watch() { j.touched = map[touch]any{} }

// take returns the rows that changed since the last look, as they were then.
func (j *journal) take() map[touch]any {
	if j.touched == nil {
		return nil
	}
	out := j.touched
	j.touched = map[touch]any{}
	return out
}
