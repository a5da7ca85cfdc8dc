package wire

// # The subjects of a gateway
//
// A gateway reaches four subjects of NATS and no stream. It asks on one, is ordered on
// another, is told the changes of its site's permissions on the third, and has its replies
// on inboxes of a prefix of its own.

// AskSubject is the subject on which a gateway asks the service.
func AskSubject(org, gateway ID) string {
	return "control." + string(org) + "." + string(gateway) + ".ask"
}

// OrderSubject is the subject on which a gateway receives its orders.
func OrderSubject(org, gateway ID) string {
	return "control." + string(org) + "." + string(gateway) + ".do"
}

// TableSubject is the subject on which published changes of a site's permissions are told:
// the messages as they stand in the stream. Nothing is told twice, so
// a gateway that misses one asks for it.
func TableSubject(org, site ID) string { return "tables." + string(org) + "." + string(site) }

// InboxPrefix is the prefix that the inboxes of a gateway must have.
// With it (nats.CustomInboxPrefix) it receives no reply that is meant for another.
func InboxPrefix(org, gateway ID) string { return "_INBOX." + string(org) + "." + string(gateway) }

// ReceiptSubject is the subject on which the instances of the service tell each other what
// a gateway enforces. No gateway may send or hear anything on it.
func ReceiptSubject(org, gateway ID) string {
	return "enforced." + string(org) + "." + string(gateway)
}

// EveryReceipt is the subject on which an instance hears what the others tell.
const EveryReceipt = "enforced.*.*"

// EveryAsk is the subject on which the service hears the requests of all gateways.
const EveryAsk = "control.*.*.ask"
