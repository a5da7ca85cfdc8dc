package domain

import (
	"time"

	"gatehouse/domain/schedule"
)

// Share lets another person use what the booking of a unit opens, for a period
// of civil days of the site within that of the booking.
type Share struct {
	ID        ID            `json:"id"`
	Site      ID            `json:"site"`
	Booking   ID            `json:"booking"`
	Unit      ID            `json:"unit"`
	Person    ID            `json:"person"`           // the sharee
	Parent    ID            `json:"parent,omitempty"` // the share that was shared on, or none
	From      schedule.Date `json:"from"`
	Until     schedule.Date `json:"until"` // last day
	State     ShareState    `json:"state"`
	Cause     ShareCause    `json:"cause,omitempty"` // of the revocation
	By        Actor         `json:"by"`
	CreatedAt time.Time     `json:"created_at"`
}

// ShareState says whether a share still gives access, as recorded. A share whose
// booking has ended opens nothing whatever stands here.
type ShareState string

// The states of a share.
const (
	ShareActive  ShareState = "active"
	ShareRevoked ShareState = "revoked"
	ShareEnded   ShareState = "ended"
)

// ShareCause is why a share was revoked (rule B6).
type ShareCause string

// The causes of a revocation.
const (
	CauseByTenant       ShareCause = "by_tenant"
	CauseByOperator     ShareCause = "by_operator"
	CauseBookingEnded   ShareCause = "booking_ended"
	CauseBookingRevoked ShareCause = "booking_revoked"
)

func (s *Share) keys() []string {
	k := []string{"booking:" + string(s.Booking), "person:" + string(s.Person), "unit:" + string(s.Unit)}
	if s.State == ShareActive {
		k = append(k, "active:"+string(s.Booking))
	}
	return k
}

var shareWords = words{}
