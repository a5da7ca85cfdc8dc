package main

import (
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// endOfFlags makes arguments of all words behind it.
const endOfFlags = "--"

// flagsLast moves flags that come before or between the words of a verb behind them.
// The parser knows the flags of a verb only after its last word.
func flagsLast(root *kong.Node, args []string) []string {
	var words, flags []string
	node := root
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch {
		case arg == endOfFlags:
			return slices.Concat(words, flags, args[i:])
		case strings.HasPrefix(arg, "-") && arg != "-":
			flags = append(flags, arg)
			if takesValue(node, arg) && i+1 < len(args) {
				i++
				flags = append(flags, args[i])
			}
		default:
			child := childNamed(node, arg)
			if child == nil {
				return slices.Concat(words, flags, args[i:])
			}
			node, words = child, append(words, arg)
		}
	}
	return slices.Concat(words, flags)
}

// childNamed finds the verb that a word names below another. It returns nil when there
// is none.
func childNamed(node *kong.Node, word string) *kong.Node {
	i := slices.IndexFunc(node.Children, func(c *kong.Node) bool {
		return c.Type == kong.CommandNode && (c.Name == word || slices.Contains(c.Aliases, word))
	})
	if i < 0 {
		return nil
	}
	return node.Children[i]
}

// takesValue reports whether the value of a flag is the word after it. A flag that
// several verbs have is of the same kind in all of them.
func takesValue(node *kong.Node, arg string) bool {
	if strings.Contains(arg, "=") {
		return false
	}
	if f := flagNamed(node, arg); f != nil {
		return !f.IsBool()
	}
	return slices.ContainsFunc(node.Children, func(c *kong.Node) bool { return takesValue(c, arg) })
}

// asksJSON reports whether errors are to be written as JSON, also where the arguments
// cannot be read.
func asksJSON(args []string) bool {
	if end := slices.Index(args, endOfFlags); end >= 0 {
		args = args[:end]
	}
	return slices.Contains(args, "--json")
}
