// Command gatehouse-gateway is the lock gateway: a small program at the doors of a site
// that decides by the permissions of the service, also while it is cut off.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"gatehouse/cmd/gatehouse-gateway/program"
)

type command struct {
	program.Options
	LogLevel slog.Level `default:"info" env:"GATEHOUSE_LOG_LEVEL" placeholder:"LEVEL" help:"Lowest level that is logged: debug, info, warn or error."`
}

// Help gives examples.
func (command) Help() string {
	return `A new gateway is registered at the service, which gives a code of one use:

  gatehouse do RegisterGateway site=north gateway=cabinet

The gateway makes its own key and enrols with that code:

  gatehouse-gateway --dir /var/lib/gatehouse-gateway --enroll CODE --url https://gatehouse.example

From then on it starts without flags but --dir. Its doors stand in gateway.json in that folder.`
}

func main() {
	program.Small()
	var c command
	kong.Parse(&c, kong.Name("gatehouse-gateway"), kong.Description("The lock gateway of Gatehouse."))
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: c.LogLevel}))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := c.Options.Run(ctx, log); err != nil {
		fmt.Fprintln(os.Stderr, "gatehouse-gateway:", err)
		os.Exit(1)
	}
}
