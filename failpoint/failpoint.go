// Package failpoint names the steps of a write, so that a test can end the process just
// behind one of them. Outside tests nothing happens at a step.
package failpoint

import "sync/atomic"

// Step is a point behind which a test may end the process. Its text is the thing written,
// a dot, and what has been done with it.
type Step string

// The steps of a gateway.
const (
	TableAppended   Step = "table.appended"   // a change is written, and perhaps not durable
	TableDurable    Step = "table.durable"    // a change is durable, and not in force
	TableInForce    Step = "table.in_force"   // decisions are made by it
	JournalDraft    Step = "journal.draft"    // the replacement is whole, beside what it replaces
	JournalAside    Step = "journal.aside"    // what is replaced is aside, and nothing in its place
	JournalReplaced Step = "journal.replaced" // the replacement is in its place
	RecordAppended  Step = "record.appended"  // a record is written, and perhaps not durable
	RecordDurable   Step = "record.durable"   // a record is durable, and the door not told
	UploadAnswered  Step = "upload.answered"  // the service has the records, and the box does not know it
	UploadNoted     Step = "upload.noted"     // the box knows that the service has the records
)

// The steps of the service with what a gateway asks of it.
const (
	RecordsChecked Step = "records.checked" // they follow the stored ones, and are not stored
	RecordsStored  Step = "records.stored"  // they are durable, and the gateway does not know it
	AskAnswered    Step = "ask.answered"    // the answer is on its way
)

// Gateway lists the steps of a gateway.
var Gateway = []Step{TableAppended, TableDurable, TableInForce, JournalDraft, JournalAside, JournalReplaced,
	RecordAppended, RecordDurable, UploadAnswered, UploadNoted}

// Service lists the steps of the service.
var Service = []Step{RecordsChecked, RecordsStored, AskAnswered}

var hook atomic.Pointer[func(Step)]

// Reached tells that a step is behind the process.
func Reached(s Step) {
	if f := hook.Load(); f != nil {
		(*f)(s)
	}
}

// OnReached lets a test act at every step, in the goroutine that reaches it.
func OnReached(f func(Step)) { hook.Store(&f) }
