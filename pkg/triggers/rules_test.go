package triggers_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/weir-sh/weir/pkg/triggers"
)

// TestThePageListsTheRules: what users read is what is applied, in that order.
func TestThePageListsTheRules(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/admission.md")
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	for _, r := range triggers.Rules() {
		kinds := strings.Join(r.Kinds, ", ")
		if len(r.Kinds) == 2 && strings.HasSuffix(r.Kinds[1], "TriggerAuthentication") {
			kinds = "both TriggerAuthentications"
		}
		fmt.Fprintf(&want, "| `%s` | %s | %s |\n", r.Reason, kinds, r.Doc)
	}
	if !strings.Contains(string(page), want.String()) {
		t.Errorf("docs/admission.md must hold these lines:\n%s", want.String())
	}
}

func TestEveryReasonIsARule(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "rules.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var declared, listed []string
	ast.Inspect(file, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && len(v.Values) == 1 {
			if text, ok := v.Values[0].(*ast.BasicLit); ok {
				declared = append(declared, strings.Trim(text.Value, `"`))
			}
		}
		return true
	})
	for _, r := range triggers.Rules() {
		listed = append(listed, string(r.Reason))
	}
	if len(declared) == 0 || !slices.Equal(declared, listed) {
		t.Errorf("declared are\n%v\nrules are\n%v", declared, listed)
	}
}
