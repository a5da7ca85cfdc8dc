package main

import (
	"context"
	"io"
	"log/slog"

	"gatehouse/cmd/gatehouse-gateway/program"
)

// gatewayCmd runs the lock gateway program.
type gatewayCmd struct {
	program.Options
	LogLevel   slog.Level `default:"info" env:"GATEHOUSE_LOG_LEVEL" placeholder:"LEVEL" help:"Lowest level that is logged: debug, info, warn or error."`
	WhileStdin bool       `name:"while-stdin" hidden:"" help:"Stop at the end of standard input, so that the gateway does not outlive the program that started it."`
}

// Help tells what else runs it.
func (gatewayCmd) Help() string {
	return `It is the same as gatehouse-gateway, which is smaller and made for the box at the doors.

Examples:

  gatehouse gateway --dir ./cabinet --enroll CODE --url http://127.0.0.1:8080
  gatehouse gateway --dir ./cabinet`
}

// Run runs the gateway until the first signal.
func (c *gatewayCmd) Run(w *world) error {
	program.Small()
	ctx, stop := context.WithCancel(w.ctx)
	defer stop()
	if c.WhileStdin {
		go func() {
			defer stop()
			_, _ = io.Copy(io.Discard, w.stdin)
		}()
	}
	return c.Options.Run(ctx, slog.New(slog.NewTextHandler(w.stderr, &slog.HandlerOptions{Level: c.LogLevel})))
}
