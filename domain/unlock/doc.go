// Package unlock decides whether a door opens: the permission rows of a site, the
// Table made of them, and Decide. The same code answers in the service and in
// every lock gateway, so that both answer the same.
package unlock
