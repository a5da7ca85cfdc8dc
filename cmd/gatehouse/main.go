// Command gatehouse keeps and serves the access ledger of a building operator, and
// speaks to a running service.
//
// It reads flags, the environment and the clock, and wires; it holds no rule. The
// verbs serve and restore open a data directory, and streams apply while no service
// has it: two processes on one directory would destroy it. Every other verb speaks HTTP.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/alecthomas/kong"

	"gatehouse/cmd/gatehouse/bulk"
)

// verbs are the verbs of the command line.
type verbs struct {
	Serve      serveCmd      `cmd:"" help:"Run the service: the ledger, the permissions and the HTTP API."`
	Demo       demoCmd       `cmd:"" help:"Show a self-storage site in fast motion."`
	Gateway    gatewayCmd    `cmd:"" help:"Run the lock gateway program: it decides at the doors of a site."`
	Ready      readyCmd      `cmd:"" help:"Ask whether an instance is ready, and if not, why."`
	Keys       keysCmd       `cmd:"" help:"Create the keys for a set of NATS servers and instances."`
	Streams    streamsCmd    `cmd:"" help:"Change the settings of the streams, as the operator."`
	Init       initCmd       `cmd:"" help:"Create an org and its first site with the bootstrap token of the service."`
	Org        orgCmd        `cmd:"" help:"Create an org with the bootstrap token."`
	Do         doCmd         `cmd:"" help:"Send a command to the ledger."`
	Get        getCmd        `cmd:"" help:"Ask for one thing or a list of things."`
	Decide     decideCmd     `cmd:"" help:"Ask whether a person or a credential would pass a door."`
	DecideMany decideManyCmd `cmd:"" help:"Ask the questions of a file, each as decide does."`
	Explain    explainCmd    `cmd:"" help:"Ask why a person or a credential would pass a door, or would not."`
	Replay     replayCmd     `cmd:"" help:"Read the events of the ledger, one line of JSON each."`
	Import     importCmd     `cmd:"" help:"Send the lines of a file as commands."`
	Export     exportCmd     `cmd:"" help:"Write files that import reads: people, bookings, credentials and more."`
	Reads      readsCmd      `cmd:"" help:"Decide the card reads of a file, and record them."`
	Backup     backupCmd     `cmd:"" help:"Back up a running service, and verify backups."`
	Restore    restoreCmd    `cmd:"" help:"Restore a ledger from a backup; no service may run on the data directory."`
	Bench      benchCmd      `cmd:"" help:"Measure how fast this machine is."`
	Token      tokenCmd      `cmd:"" help:"Issue, list and revoke tokens."`
	Completion completionCmd `cmd:"" help:"Write the completion script of a shell."`

	Version kong.VersionFlag `help:"Print the version and exit."`
}

// Help tells what every verb has in common.
func (verbs) Help() string {
	return `Every verb but serve, gateway, restore, streams, keys, backup and completion speaks HTTP to a
running service, named by --url and --token or by GATEHOUSE_URL and GATEHOUSE_TOKEN.

Exit codes:

  0  success
  1  failure; the message gives the reason
  2  the command line or the input is wrong
  3  a rule of the ledger refused it, or it names something that does not exist
  4  the token is not valid, or its person is not permitted to do this
  5  the service cannot be reached, is busy, or its data is in use: try again

With --json, an error is one line of JSON on stderr: {code, detail, …}.
Flags may be given in any place; after -- every word is an argument.`
}

// AfterApply refuses arguments that are not in UTF-8: their letters would be lost on the
// way to the service, in silence.
func (verbs) AfterApply(k *kong.Context) error {
	for _, arg := range k.Args {
		if !utf8.ValidString(arg) {
			return usage("the argument %q is not in UTF-8; type it in a terminal that is, or give the fields in a file with --file", arg)
		}
	}
	return nil
}

// world is what a verb has of the outside.
type world struct {
	ctx    context.Context // ends with the first signal to stop
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
	now    func() time.Time
	// program is the path of this program, for verbs that start it again.
	program string
	json    bool // errors are written as JSON
}

func main() { os.Exit(run(os.Args[1:])) }

// run runs the verb that the arguments name and returns the exit code.
func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The first signal stops in good order, a second one at once.
	context.AfterFunc(ctx, stop)
	parser, err := newParser(&verbs{})
	if err != nil {
		fmt.Fprintln(os.Stderr, "gatehouse:", err)
		return exitFailure
	}
	w := &world{ctx: ctx, stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, now: time.Now, json: asksJSON(args)}
	if w.program, err = os.Executable(); err != nil {
		w.program = os.Args[0]
	}
	switch {
	case len(args) == 0:
		args = []string{"--help"}
	case args[0] == completeVerb:
		for _, word := range complete(parser.Model, args[1:]) {
			fmt.Fprintln(w.stdout, word)
		}
		return exitDone
	}
	selected, err := parser.Parse(flagsLast(parser.Model.Node, args))
	if err == nil {
		err = selected.Run(w)
	}
	return w.report(err)
}

func newParser(into *verbs, options ...kong.Option) (*kong.Kong, error) {
	return kong.New(into, append([]kong.Option{
		kong.Name("gatehouse"),
		kong.Description("Gatehouse records who may open which door, since when and why, and what happened at the doors."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, FlagsLast: true, WrapUpperBound: 100}),
		kong.Vars{"version": version(), "data": defaultData(), "kinds": strings.Join(bulk.KindNames(), ",")},
	}, options...)...)
}

// version is that of the module, or devel for what was built from a work tree.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "devel"
	}
	return info.Main.Version
}

// report says on stderr what went wrong, and returns the exit code.
func (w *world) report(err error) int {
	code := exitCode(err)
	switch {
	case err == nil:
	case w.json:
		b, marshalErr := json.Marshal(problemOf(err))
		if marshalErr != nil {
			b = []byte(marshalErr.Error())
		}
		w.say("%s", b)
	case errors.Is(err, context.Canceled):
		w.say("gatehouse: interrupted")
	default:
		w.say("gatehouse: %v", err)
		if parse, ok := errors.AsType[*kong.ParseError](err); ok && parse.Context.Selected() != nil {
			w.say("Run %q for help.", parse.Context.Selected().FullPath()+" --help")
		}
	}
	return code
}
