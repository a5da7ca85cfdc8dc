package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"gatehouse/cmd/gatehouse/input"
)

// completeVerb is what the scripts of the shells call: it writes what may come in
// the place of its last argument, one to a line.
const completeVerb = "__complete"

// completionCmd writes the completion of a shell.
type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help tells where the scripts go.
func (completionCmd) Help() string {
	return `Examples:

  source <(gatehouse completion bash)                  # in ~/.bashrc
  gatehouse completion zsh > "${fpath[1]}/_gatehouse"
  gatehouse completion fish > ~/.config/fish/completions/gatehouse.fish`
}

// Run writes the script.
func (c *completionCmd) Run(w *world) error {
	_, err := fmt.Fprint(w.stdout, completionScripts[c.Shell])
	return err
}

// completionScripts ask the program itself, so that they are never out of date.
var completionScripts = map[string]string{
	"bash": `_gatehouse() {
  local IFS=$'\n'
  COMPREPLY=( $(gatehouse ` + completeVerb + ` "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null) )
  [[ ${#COMPREPLY[@]} -gt 0 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null
  # The shell takes key=value for three words.
  if [[ ${COMP_WORDS[COMP_CWORD]} == = || ${COMP_WORDS[COMP_CWORD-1]} == = ]]; then
    COMPREPLY=( "${COMPREPLY[@]#*=}" )
  fi
}
complete -o default -F _gatehouse gatehouse
`,
	"zsh": `#compdef gatehouse
_gatehouse() {
  local -a found
  found=("${(@f)$(gatehouse ` + completeVerb + ` "${(@)words[2,$CURRENT]}" 2>/dev/null)}")
  if [[ -z ${found[1]} ]]; then
    _files
    return
  fi
  compadd -S '' -- ${(M)found:#*=}
  compadd -- ${found:#*=}
}
compdef _gatehouse gatehouse
`,
	"fish": `complete -c gatehouse -a '(gatehouse ` + completeVerb + ` (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)'
`,
}

// complete lists what may come in the place of the last word.
func complete(app *kong.Application, words []string) []string {
	if len(words) == 0 {
		words = []string{""}
	}
	words = joinAssignments(words)
	before, word := words[:len(words)-1], words[len(words)-1]
	node, given, pending := walk(app.Node, flagsLast(app.Node, before))
	var found []string
	switch {
	case pending != nil:
		found = pending.EnumSlice()
	case strings.HasPrefix(word, "-"):
		for _, group := range node.AllFlags(true) {
			for _, f := range group {
				found = append(found, "--"+f.Name)
			}
		}
	case len(node.Children) > 0:
		for _, child := range node.Children {
			if !child.Hidden {
				found = append(found, child.Name)
			}
		}
	default:
		found = arguments(node, given, word)
	}
	found = slices.DeleteFunc(found, func(s string) bool { return s == "" || !strings.HasPrefix(s, word) })
	slices.Sort(found)
	return found
}

// joinAssignments makes one word of key, = and value, which bash takes apart.
func joinAssignments(words []string) []string {
	var out []string
	for i, w := range words {
		if i > 0 && (w == "=" || words[i-1] == "=") {
			out[len(out)-1] += w
		} else {
			out = append(out, w)
		}
	}
	return out
}

// walk follows words to the verb that they name. It returns the arguments that
// were given to it, and the flag whose value comes next.
func walk(node *kong.Node, words []string) (at *kong.Node, given []string, pending *kong.Flag) {
	for _, w := range words {
		if pending != nil {
			pending = nil
			continue
		}
		if strings.HasPrefix(w, "-") {
			if f := flagNamed(node, w); f != nil && !f.IsBool() && !strings.Contains(w, "=") {
				pending = f
			}
			continue
		}
		i := slices.IndexFunc(node.Children, func(c *kong.Node) bool { return c.Name == w })
		if i < 0 {
			given = append(given, w)
			continue
		}
		node = node.Children[i]
	}
	return node, given, pending
}

func flagNamed(node *kong.Node, word string) *kong.Flag {
	name, _, _ := strings.Cut(strings.TrimLeft(word, "-"), "=")
	for _, group := range node.AllFlags(false) {
		for _, f := range group {
			if f.Name == name || f.Short != 0 && string(f.Short) == name {
				return f
			}
		}
	}
	return nil
}

// arguments lists what a verb takes beside flags.
func arguments(node *kong.Node, given []string, word string) []string {
	switch {
	case node.Path() == "do" && len(given) == 0:
		return input.CommandNames()
	case node.Path() == "do":
		return fieldWords(given[0], word)
	case len(given) < len(node.Positional):
		return node.Positional[len(given)].EnumSlice()
	}
	return nil
}

// fieldWords lists the fields of a command as key=, and behind one with few values
// those.
func fieldWords(command, word string) []string {
	s, err := input.ShapeOf(command)
	if err != nil {
		return nil
	}
	if key, _, ok := strings.Cut(word, "="); ok {
		f := s.Properties[key]
		if f == nil {
			return nil
		}
		var out []string
		for _, value := range f.Enum {
			out = append(out, key+"="+value)
		}
		return out
	}
	var out []string
	for name := range s.Properties {
		out = append(out, name+"=")
	}
	return out
}
