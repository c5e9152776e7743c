package main

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../../.."

func generated(t *testing.T) map[string]string {
	t.Helper()
	pages, err := generate(root)
	if err != nil {
		t.Fatal(err)
	}
	return pages
}

func TestPagesAreCurrent(t *testing.T) {
	t.Parallel()
	want := generated(t)
	there, err := filepath.Glob(filepath.Join(root, folder, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range there {
		if _, ok := want[filepath.Base(path)]; !ok {
			t.Errorf("%s/%s is no longer generated: run make generate", folder, filepath.Base(path))
		}
	}
	for name, text := range want {
		got, err := os.ReadFile(filepath.Join(root, folder, name))
		if err != nil {
			t.Error(err)
		} else if string(got) != text {
			t.Errorf("%s/%s is out of date: run make generate", folder, name)
		}
	}
}

// TestRunReplacesPagesAndRemovesOldOnes on a copy of what it reads.
func TestRunReplacesPagesAndRemovesOldOnes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, pkg := range []string{"pkg/api/v1alpha1", "pkg/decide"} {
		if err := os.CopyFS(filepath.Join(dir, pkg), os.DirFS(filepath.Join(root, pkg))); err != nil {
			t.Fatal(err)
		}
	}
	stale := filepath.Join(dir, folder, "gone.md")
	if err := os.MkdirAll(filepath.Dir(stale), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(stale, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := run(dir); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(stale); !os.IsNotExist(err) {
		t.Errorf("a page that is no longer generated is still there: %v", err)
	}
	for name, text := range generated(t) {
		got, err := os.ReadFile(filepath.Join(dir, folder, name))
		if err != nil || string(got) != text {
			t.Errorf("%s differs from run to run (%v)", name, err)
		}
	}
}

func TestEveryFieldOfTheDefinitionsIsOnItsPage(t *testing.T) {
	t.Parallel()
	pages := generated(t)
	for _, k := range kinds() {
		crd, err := k.definition()
		if err != nil {
			t.Fatal(err)
		}
		page, count := pages[strings.ToLower(k.name)+".md"], 0
		var look func(path string, s schema)
		look = func(path string, s schema) {
			if path == "jobTargetRef" {
				return // Kubernetes documents what is below
			}
			for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
				at := strings.TrimPrefix(path+"."+name, ".")
				if count++; !strings.Contains(page, "\n| `"+at+"` |") {
					t.Errorf("%s: there is no row for %s", k.name, at)
				}
				look(at, s.Properties[name])
			}
			if s.Items != nil {
				look(path+"[]", *s.Items.Schema)
			}
			if s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil {
				look(path+".*", *s.AdditionalProperties.Schema)
			}
		}
		top := crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties
		look("", top["spec"])
		look("", top["status"])
		if count < 20 {
			t.Errorf("%s has only %d fields", k.name, count)
		}
	}
}

// TestDescriptionsAndDefaultsAgree: the sentence of a field and the default that
// the program uses are two places; here they meet.
func TestDescriptionsAndDefaultsAgree(t *testing.T) {
	t.Parallel()
	number := regexp.MustCompile(`\b(\d+) when unset`)
	agreed := 0
	for _, k := range kinds() {
		crd, err := k.definition()
		if err != nil {
			t.Fatal(err)
		}
		spec, err := fields("spec", crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"], k.spec, maps.Clone(k.defaults))
		if err != nil {
			t.Fatal(err)
		}
		deep(spec, func(f field) {
			if m := number.FindStringSubmatch(f.text); m != nil && m[1] != f.preset {
				t.Errorf("%s %s: the description says %s when unset, the program does %q", k.name, f.path, m[1], f.preset)
			}
			if f.preset == "" || !strings.Contains(f.text, "when unset") {
				return
			}
			if agreed++; !strings.Contains(f.text, strings.TrimSuffix(f.preset, "NAME")) {
				t.Errorf("%s %s: the default %s is not in the description %q", k.name, f.path, f.preset, f.text)
			}
		})
	}
	if agreed < 15 {
		t.Errorf("only %d fields tell their default", agreed)
	}
}

// write makes a package of one file.
func write(t *testing.T, text string) source {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "x.go"), []byte("package x\n"+text), 0o644); err != nil {
		t.Fatal(err)
	}
	s, err := constants(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestWhatIsNotExplainedIsRefused(t *testing.T) {
	t.Parallel()
	const ready = "\n// ConditionReady tells.\nconst ConditionReady = \"Ready\"\n"
	for _, tc := range []struct {
		name, text string
		write      func(source) (string, error)
		want       string
	}{
		{
			"a constant without a comment",
			"// Reasons of events about X.\nconst (\n\tEventA = \"A\"\n\t// EventB: b.\n\tEventB = \"B\"\n)", eventsPage,
			"EventA has no comment; write when it is used",
		},
		{
			"events about nothing",
			"// More of them.\nconst (\n\t// EventA: a.\n\tEventA = \"A\"\n)", eventsPage,
			`the events beginning with EventA are about nothing; say in their comment "Reasons of events about X."`,
		},
		{
			"no events at all", "const other = 1", eventsPage,
			"no constant is named Event...; adapt this program",
		},
		{
			"reasons of no condition",
			ready + "\n// Reasons.\nconst (\n\t// ReasonA (True): a.\n\tReasonA = \"A\"\n)", conditionsPage,
			`the reasons beginning with ReasonA are of no condition; say in their comment "Reasons of the X condition."`,
		},
		{
			"a condition without reasons",
			ready + "\n// Reasons of the Active condition.\nconst (\n\t// ReasonA (True): a.\n\tReasonA = \"A\"\n)", conditionsPage,
			"condition Ready has no reasons",
		},
		{
			"reasons of a condition that does not exist",
			ready + "\n// Reasons of the Ready condition.\nconst (\n\t// ReasonA (True): a.\n\tReasonA = \"A\"\n)\n" +
				"\n// Reasons of the Active condition.\nconst (\n\t// ReasonB (True): b.\n\tReasonB = \"B\"\n)", conditionsPage,
			"2 groups of reasons for 1 conditions",
		},
		{
			"no rule for lenient bools",
			"// AnnotationA stops.\nconst AnnotationA = \"a\"\n\n// LabelA names.\nconst LabelA = \"a\"", annotationsPage,
			`the comment of LenientBool begins otherwise than this program expects: ""`,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			page, err := tc.write(write(t, tc.text))
			if err == nil || err.Error() != tc.want {
				t.Errorf("got %v and %q, want %s", err, page, tc.want)
			}
		})
	}
}

func TestCommentsBecomeSentences(t *testing.T) {
	t.Parallel()
	s := write(t, `
const (
	// ReasonA (True or Unknown): some trigger has
	// work.
	ReasonA = "Alpha"
	// LabelB is, on a Job, what ReasonA says.
	LabelB = "b"
	ActionC Action = "c" // leave it alone
)
`)
	for i, want := range [][2]string{{"True or Unknown", "Some trigger has work."}, {"", "On a Job, what `Alpha` says."}} {
		if note, text := s.said(s.groups[0].consts[i]); note != want[0] || text != want[1] {
			t.Errorf("got %q and %q, want %q", note, text, want)
		}
	}
	if got, err := s.comment("c"); err != nil || got != "Leave it alone." {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := s.comment("d"); err == nil || err.Error() != `no constant with a comment has the value "d"; adapt this program` {
		t.Errorf("got %v", err)
	}
}

func TestAFolderWithoutSourceIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := constants(dir)
	if want := "no Go files in " + dir + "; run this program from the root of the repository"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
