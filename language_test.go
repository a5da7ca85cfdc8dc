package gatehouse_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// maxFirstSentence is how many words the first sentence of a documentation comment has
// at most.
const maxFirstSentence = 20

// dialect are words and turns that plain English has another word for.
var dialect = []struct {
	pattern *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`\bis there already\b`), "already exists"},
	{regexp.MustCompile(`\bare there already\b`), "already exist"},
	{regexp.MustCompile(`\banew\b`), "again"},
	{regexp.MustCompile(`\bfrom afar\b`), "remotely"},
	{regexp.MustCompile(`\bstands? twice\b`), "is given twice"},
	{regexp.MustCompile(`(?i)\bwhosoever\b|\bwhatsoever\b`), "anybody, any"},
}

// opening are the words that no sentence of a comment begins with.
var opening = regexp.MustCompile(`(?:^|[.!?] )(What|Whoever|Whatever|That which|Who|Whose)\b`)

// sources parses the Go files of the module.
func sources(t *testing.T, see func(path string, file *ast.File, set *token.FileSet)) {
	t.Helper()
	set := token.NewFileSet()
	require.NoError(t, filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && path != ".") {
			if d != nil && d.IsDir() && err == nil {
				return fs.SkipDir
			}
			return err
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		file, err := parser.ParseFile(set, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		see(path, file, set)
		return nil
	}))
}

// text joins the lines of a comment, without those that are code or headings.
func text(group *ast.CommentGroup) string {
	var out []string
	for line := range strings.Lines(group.Text()) {
		if strings.HasPrefix(line, "\t") || strings.HasPrefix(line, "#") {
			continue
		}
		out = append(out, strings.TrimSpace(line))
	}
	return strings.Join(out, " ")
}

// firstSentence is the text up to the first end of a sentence or colon.
func firstSentence(text string) string {
	if end := regexp.MustCompile(`[.:;!?](\s|$)`).FindStringIndex(text); end != nil {
		return text[:end[0]]
	}
	return text
}

// Comments are plain: short first sentences, no dialect, no sentence that begins with a
// question word.
func TestCommentsArePlain(t *testing.T) {
	sources(t, func(path string, file *ast.File, set *token.FileSet) {
		for _, group := range file.Comments {
			at := set.Position(group.Pos())
			said := text(group)
			assert.NotRegexp(t, opening, said, "%s: begin the sentence with its subject", at)
			for _, d := range dialect {
				assert.NotRegexp(t, d.pattern, said, "%s: write %q", at, d.instead)
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING && !strings.HasSuffix(path, "language_test.go") {
				for _, d := range dialect {
					assert.NotRegexp(t, d.pattern, lit.Value, "%s: write %q", set.Position(lit.Pos()), d.instead)
				}
			}
			return true
		})
		for _, decl := range file.Decls {
			for _, doc := range docs(decl) {
				words := len(strings.Fields(firstSentence(text(doc))))
				assert.LessOrEqual(t, words, maxFirstSentence, "%s: the first sentence has %d words", set.Position(doc.Pos()), words)
			}
		}
	})
}

// docs are the documentation comments of a declaration.
func docs(decl ast.Decl) []*ast.CommentGroup {
	var out []*ast.CommentGroup
	switch d := decl.(type) {
	case *ast.FuncDecl:
		out = append(out, d.Doc)
	case *ast.GenDecl:
		out = append(out, d.Doc)
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				out = append(out, s.Doc)
			case *ast.ValueSpec:
				out = append(out, s.Doc)
			}
		}
	}
	var found []*ast.CommentGroup
	for _, doc := range out {
		if doc != nil {
			found = append(found, doc)
		}
	}
	return found
}
