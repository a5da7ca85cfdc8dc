// Package drivers has the one list of drivers. A new driver is a folder of its own and one
// line here.
package drivers

import (
	"gatehouse/gateways/driver"
	"gatehouse/gateways/mqtt"
	"gatehouse/gateways/simulated"
	"gatehouse/gateways/uhppote"
)

// All are the drivers by the name that the file of a gateway uses.
var All = map[string]driver.Open{
	"mqtt":      mqtt.Open,
	"simulated": simulated.Open,
	"uhppote":   uhppote.Open,
}
