// Package edge keeps what a lock gateway observed until the service has stored it: once
// and in order, after any time offline ([Outbox]). A gateway is a small program: of
// Gatehouse it may link domain/unlock, domain/schedule and schemas/wire, and neither the
// rules nor the store nor a server.
package edge
