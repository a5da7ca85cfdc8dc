package unlock

// standsOpen reports whether business hours of the door hold that have begun.
func (q *question) standsOpen() bool {
	q.read()
	if q.blackout() != 0 {
		return false
	}
	for _, k := range *q.door.hours {
		r := q.table.rights.get(k)
		if r == nil || r.hours.schedule == (key{}) || q.times(r.hours.schedule) != 0 {
			continue
		}
		if !r.hours.firstIn || q.begun(&r.hours) {
			return true
		}
	}
	return false
}

// begun reports whether somebody with FirstIn opened the door in the business
// hours that hold now, or in their grace. The search runs forward from when that
// was, so that no gateway needs to know when hours begin.
func (q *question) begun(h *hours) bool {
	came := q.local.FirstIn
	if came == 0 || came > q.at {
		return false
	}
	times, zone, days := q.table.schedules.get(h.schedule).compiled, q.site.zone, q.site.days
	begin := int64(came)
	if then := zone.Local(begin); !times.Contains(then, days.Kind(then.Date)) {
		next, ok := times.NextChange(zone, days, begin)
		if !ok || next > begin+int64(h.grace) {
			return false
		}
		begin = next
	}
	end, ends := times.NextChange(zone, days, begin)
	return int64(q.at) >= begin && (!ends || int64(q.at) < end)
}
