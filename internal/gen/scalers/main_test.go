package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/weir-sh/weir/pkg/scalers/all"
)

const root = "../../.."

func TestGeneratedFilesAreCurrent(t *testing.T) {
	files, err := generate(all.Scalers())
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Error(err)
		} else if string(got) != want {
			t.Errorf("%s is out of date: run make generate", name)
		}
	}
	pages, err := filepath.Glob(filepath.Join(root, "docs/scalers/*.md"))
	if err != nil {
		t.Fatal(err)
	}
	if len(pages) != len(all.Scalers())+1 {
		t.Errorf("docs/scalers has %d pages for %d scalers and an index: run make generate", len(pages), len(all.Scalers()))
	}
}

func TestGeneratingTwiceGivesTheSame(t *testing.T) {
	dir := t.TempDir()
	stale := filepath.Join(dir, "docs/scalers/gone.md")
	if err := os.MkdirAll(filepath.Dir(stale), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(stale, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := run(dir, all.Scalers()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(stale); !os.IsNotExist(err) {
		t.Errorf("the page of a scaler that is gone is still there: %v", err)
	}
	want, err := generate(all.Scalers())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range want {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || string(got) != text {
			t.Errorf("%s differs from run to run (%v)", name, err)
		}
	}
}

// document is what the pages' examples have in common.
type document struct {
	Kind       string            `json:"kind"`
	StringData map[string]string `json:"stringData"`
	Spec       struct {
		Triggers []struct {
			Type     string            `json:"type"`
			Metadata map[string]string `json:"metadata"`
		} `json:"triggers"`
		SecretTargetRef []struct{ Parameter, Name, Key string } `json:"secretTargetRef"`
	} `json:"spec"`
}

func TestExamplesOnPagesAreTheScalersExamples(t *testing.T) {
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```")
	for _, d := range all.Scalers() {
		text, err := page(d)
		if err != nil {
			t.Fatal(err)
		}
		found := block.FindAllStringSubmatch(text, -1)
		if len(found) != len(d.Examples) {
			t.Fatalf("%s: %d examples on the page, want %d", d.Type, len(found), len(d.Examples))
		}
		for i, e := range d.Examples {
			auth := map[string]string{}
			for part := range strings.SplitSeq(found[i][1], "---\n") {
				var doc document
				if err := yaml.Unmarshal([]byte(part), &doc); err != nil {
					t.Fatalf("%s, %s: %v\n%s", d.Type, e.Title, err, part)
				}
				switch doc.Kind {
				case "ScaledObject":
					if got := doc.Spec.Triggers[0]; got.Type != d.Type || !equal(got.Metadata, e.Metadata) {
						t.Errorf("%s, %s: the page has %+v", d.Type, e.Title, got)
					}
				case "TriggerAuthentication":
					for _, ref := range doc.Spec.SecretTargetRef {
						auth[ref.Parameter] = ref.Key
					}
				case "Secret":
					for name, key := range auth {
						auth[name] = doc.StringData[key]
					}
				}
			}
			if !equal(auth, e.Auth) {
				t.Errorf("%s, %s: the page has authentication parameters %v", d.Type, e.Title, auth)
			}
		}
	}
}

func equal(a, b map[string]string) bool {
	for k, v := range a {
		if b[k] != v {
			return false
		}
	}
	return len(a) == len(b)
}

// TestSchemaAcceptsExamples reads the schema as a validator would, as far as it
// goes: properties, required, enum and pattern of metadata.
func TestSchemaAcceptsExamples(t *testing.T) {
	text, err := schema(all.Scalers())
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Defs map[string]struct {
			Properties map[string]struct {
				Pattern string
				Enum    []string
			}
			Required []string
		} `json:"$defs"`
	}
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	for _, d := range all.Scalers() {
		def := doc.Defs[d.Type]
		for _, e := range d.Examples {
			for name, v := range e.Metadata {
				p, ok := def.Properties[name]
				if !ok && d.NamesMetrics {
					continue // passed on
				}
				if !ok || p.Pattern != "" && !regexp.MustCompile(p.Pattern).MatchString(v) || p.Enum != nil && !slices.Contains(p.Enum, v) {
					t.Errorf("%s, %s: the schema refuses %s: %q", d.Type, e.Title, name, v)
				}
			}
			for _, name := range def.Required {
				if e.Metadata[name] == "" {
					t.Errorf("%s, %s: the schema requires %s", d.Type, e.Title, name)
				}
			}
		}
	}
}
