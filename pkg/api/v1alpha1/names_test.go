package v1alpha1_test

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
)

var update = flag.Bool("update", false, "rewrite the golden file in testdata")

func TestEveryKindIsRegistered(t *testing.T) {
	t.Parallel()
	s := runtime.NewScheme()
	for range 2 { // again is harmless
		if err := v1alpha1.AddToScheme(s); err != nil {
			t.Fatal(err)
		}
	}
	for kind, want := range map[string]runtime.Object{
		v1alpha1.KindScaledObject:                          &v1alpha1.ScaledObject{},
		v1alpha1.KindScaledObject + "List":                 &v1alpha1.ScaledObjectList{},
		v1alpha1.KindScaledJob:                             &v1alpha1.ScaledJob{},
		v1alpha1.KindScaledJob + "List":                    &v1alpha1.ScaledJobList{},
		v1alpha1.KindTriggerAuthentication:                 &v1alpha1.TriggerAuthentication{},
		v1alpha1.KindTriggerAuthentication + "List":        &v1alpha1.TriggerAuthenticationList{},
		v1alpha1.KindClusterTriggerAuthentication:          &v1alpha1.ClusterTriggerAuthentication{},
		v1alpha1.KindClusterTriggerAuthentication + "List": &v1alpha1.ClusterTriggerAuthenticationList{},
		"ListOptions": &metav1.ListOptions{},
	} {
		got, err := s.New(v1alpha1.GroupVersion.WithKind(kind))
		if err != nil {
			t.Errorf("%s: %v", kind, err)
			continue
		}
		if reflect.TypeOf(got) != reflect.TypeOf(want) {
			t.Errorf("%s is %T, want %T", kind, got, want)
		}
	}
	if got, want := v1alpha1.GroupVersion.String(), "keda.sh/v1alpha1"; got != want {
		t.Errorf("group version %s, want %s", got, want)
	}
}

// Users, dashboards and alert rules depend on these names: the golden file lists
// them all, so that no change goes unseen. Run with -update after a change that
// is meant.
func TestNamesAreTheOnesOnRecord(t *testing.T) {
	t.Parallel()
	files := []string{"annotations.go", "labels.go", "finalizers.go", "condition_types.go", "condition_reasons.go", "event_reasons.go"}
	lines := []string{}
	for _, file := range files {
		found := constants(t, file)
		if len(found) == 0 {
			t.Errorf("%s declares no constant", file)
		}
		slices.Sort(found)
		lines = append(lines, found...)
	}
	got := []byte(strings.Join(lines, "\n") + "\n")
	golden := filepath.Join("testdata", "names.golden")
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("names differ from %s:\n%s", golden, got)
	}
}

// constants returns "Name value" for every constant that file declares, and
// complains about those without a comment.
func constants(t *testing.T, file string) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, d := range f.Decls {
		decl, ok := d.(*ast.GenDecl)
		if !ok || decl.Tok != token.CONST {
			continue
		}
		for _, s := range decl.Specs {
			spec := s.(*ast.ValueSpec)
			name := spec.Names[0].Name
			if doc := spec.Doc.Text() + decl.Doc.Text(); !strings.HasPrefix(doc, name) {
				t.Errorf("%s: %s has no comment that begins with its name", file, name)
			}
			lines = append(lines, fmt.Sprintf("%s %s", name, spec.Values[0].(*ast.BasicLit).Value))
		}
	}
	return lines
}
