// Package docs_test checks what documents show: every manifest in them is right,
// and every link leads somewhere.
package docs_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	"sigs.k8s.io/yaml"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/cli"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/all"
)

const root = ".."

// pages returns the Markdown files of the repository by their path below root.
func pages(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := fs.WalkDir(os.DirFS(root), ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules" || d.Name() == "bin"):
			return fs.SkipDir
		case d.IsDir() || filepath.Ext(path) != ".md":
			return nil
		}
		text, err := os.ReadFile(filepath.Join(root, path))
		out[path] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 40 {
		t.Fatalf("only %d pages", len(out))
	}
	return out
}

// manifests returns the blocks of a page that are marked as YAML.
func manifests(page string) []string {
	var out []string
	for _, m := range regexp.MustCompile("(?ms)^ *```ya?ml\n(.*?)^ *```").FindAllStringSubmatch(page, -1) {
		out = append(out, m[1])
	}
	return out
}

// strict decodes objects and refuses fields that the API server does not know.
func strict(t *testing.T) runtime.Decoder {
	t.Helper()
	scheme := runtime.NewScheme()
	err := errors.Join(
		clientgoscheme.AddToScheme(scheme), apiextensionsv1.AddToScheme(scheme),
		apiregistrationv1.AddToScheme(scheme), v1alpha1.AddToScheme(scheme),
	)
	if err != nil {
		t.Fatal(err)
	}
	return serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
}

// TestEveryManifestIsRight: each is a whole object that could be applied, and
// weir validate finds nothing to say of it but that other objects are not shown.
// What is indented is a part of an object that the text names.
func TestEveryManifestIsRight(t *testing.T) {
	t.Parallel()
	registry, err := scalers.NewRegistry(all.Scalers()...)
	if err != nil {
		t.Fatal(err)
	}
	decode, count := strict(t), 0
	for path, page := range pages(t) {
		for _, text := range manifests(page) {
			count++
			if err, indented := part(text); indented {
				if err != nil {
					t.Errorf("%s: %v\n%s", path, err, text)
				}
				continue
			}
			var scaled bool
			for doc := range strings.SplitSeq(text, "\n---\n") {
				object, kind, err := decode.Decode([]byte(doc), nil, nil)
				if err != nil {
					t.Errorf("%s: %v\n%s", path, err, doc)
					continue
				}
				_, isObject := object.(*v1alpha1.ScaledObject)
				_, isJob := object.(*v1alpha1.ScaledJob)
				scaled = scaled || isObject || isJob
				if kind.Version == "" {
					t.Errorf("%s: no apiVersion\n%s", path, doc)
				}
			}
			if scaled {
				for _, line := range validate(t, registry, text) {
					t.Errorf("%s: %s\n%s", path, line, text)
				}
			}
		}
	}
	if count < 60 {
		t.Errorf("only %d manifests were found", count)
	}
}

// part checks what is indented, as it is no object of Kubernetes but a part of one.
func part(text string) (err error, indented bool) {
	if !strings.HasPrefix(text, " ") {
		return nil, false
	}
	var some map[string]any
	return yaml.UnmarshalStrict([]byte(text), &some), true
}

// validate runs weir validate and returns what it finds wrong.
func validate(t *testing.T, registry *scalers.Registry, text string) []string {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := cli.NewRoot(cli.Config{Version: "test", Registry: registry, Out: &out, Err: &errs})
	cmd.SetIn(strings.NewReader(text))
	cmd.SetArgs([]string{"validate", "--allow-missing-refs", "-f", "-"})
	failure := cmd.ExecuteContext(t.Context())
	elsewhere := regexp.MustCompile(`(does not exist; create it|is not in the input|has no key )`)
	var found []string
	for line := range strings.Lines(out.String()) {
		warning := strings.HasPrefix(line, "warning: ")
		if strings.HasPrefix(line, "error: ") || warning && !elsewhere.MatchString(line) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	if failure != nil && len(found) == 0 {
		found = append(found, failure.Error()+errs.String())
	}
	return found
}

func TestWrongManifestsAreFound(t *testing.T) {
	t.Parallel()
	registry, err := scalers.NewRegistry(all.Scalers()...)
	if err != nil {
		t.Fatal(err)
	}
	const page = "# A page\n\n```yaml\n" + `apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: orders}
spec:
  scaleTargetRef: {name: orders}
  triggers:
    - type: redis
      metadata: {address: "redis:6379", listNmae: orders}
` + "```\n"
	got := strings.Join(validate(t, registry, manifests(page)[0]), "\n")
	for _, want := range []string{"listNmae", "listName: is required"} {
		if !strings.Contains(got, want) {
			t.Errorf("got %q, want it to tell of %s", got, want)
		}
	}
}

// anchor is the name by which a heading is linked.
func anchor(heading string) string {
	heading = strings.ToLower(strings.TrimSpace(heading))
	heading = regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(heading, "")
	return strings.ReplaceAll(heading, " ", "-")
}

// anchors returns the names of the headings of a page.
func anchors(page string) map[string]bool {
	out := map[string]bool{}
	page = regexp.MustCompile("(?ms)^ *```.*?^ *```").ReplaceAllString(page, "") // comments of shells are no headings
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(page, -1) {
		out[anchor(m[1])] = true
	}
	return out
}

// TestEveryLinkLeadsSomewhere: to a file of the repository, and to a heading of it.
// Links to other hosts are not followed.
func TestEveryLinkLeadsSomewhere(t *testing.T) {
	t.Parallel()
	all := pages(t)
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	count := 0
	for path, page := range all {
		for _, m := range link.FindAllStringSubmatch(page, -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			count++
			file, heading, _ := strings.Cut(m[1], "#")
			to := filepath.Join(filepath.Dir(path), file)
			if file == "" {
				to = path
			}
			if _, err := os.Stat(filepath.Join(root, to)); err != nil {
				t.Errorf("%s links to %s, which does not exist", path, m[1])
			} else if heading != "" && !anchors(all[to])[heading] {
				t.Errorf("%s links to %s, but there is no such heading", path, m[1])
			}
		}
	}
	if count < 100 {
		t.Errorf("only %d links were found", count)
	}
}

// TestEveryFlagExists: those that pages name are weir's, by the generated
// reference of the command line, or among Kubernetes' here.
func TestEveryFlagExists(t *testing.T) {
	t.Parallel()
	known := map[string]bool{
		"--kube-api-qps": true, "--kube-api-burst": true,
		"--concurrent-horizontal-pod-autoscaler-syncs": true, "--horizontal-pod-autoscaler-sync-period": true,
	}
	flag, all := regexp.MustCompile(`--[a-z][a-z-]+`), pages(t)
	for path, page := range all {
		if strings.HasPrefix(path, "docs/cli/") {
			for _, f := range flag.FindAllString(page, -1) {
				known[f] = true
			}
		}
	}
	code, count := regexp.MustCompile("`--[^`]+`"), 0
	for _, name := range []string{"authentication", "concepts", "migrate-from-keda", "troubleshooting"} {
		for _, span := range code.FindAllString(all["docs/"+name+".md"], -1) {
			f := flag.FindString(span)
			if count++; !known[f] {
				t.Errorf("docs/%s.md names %s, which is no flag", name, f)
			}
		}
	}
	if count < 20 {
		t.Errorf("only %d flags were found", count)
	}
}

// TestTroubleshootingQuotesWhatIsSaid: in its tables of what Weir says, each text is
// one that the source has. Words in capitals, and dots, stand for what varies.
func TestTroubleshootingQuotesWhatIsSaid(t *testing.T) {
	t.Parallel()
	said, count := source(t), 0
	for _, quote := range column(pages(t)["docs/troubleshooting.md"], "Weir says") {
		for _, part := range regexp.MustCompile(`\.\.\.|\b[A-Z]{4,}\b`).Split(quote, -1) {
			part = strings.Trim(part, " /,")
			if len(strings.Fields(part)) < 3 {
				continue
			}
			if count++; !strings.Contains(said, part) {
				t.Errorf("docs/troubleshooting.md quotes %q, which nothing in the source says", part)
			}
		}
	}
	if count < 15 {
		t.Errorf("only %d quotes were found", count)
	}
}

// column returns the code in the first column of tables with that title.
func column(page, title string) []string {
	var out []string
	inside := false
	for line := range strings.Lines(page) {
		switch {
		case strings.HasPrefix(line, "| "+title+" |"):
			inside = true
		case !strings.HasPrefix(line, "|"):
			inside = false
		case inside:
			if parts := strings.SplitN(line, "`", 3); len(parts) == 3 {
				out = append(out, parts[1])
			}
		}
	}
	return out
}

// source is the text of the program, with strings joined that are broken over lines.
func source(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	err := fs.WalkDir(os.DirFS(filepath.Join(root, "pkg")), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(filepath.Join(root, "pkg", path))
		b.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	joined := regexp.MustCompile(`"\s*\+\s*"`).ReplaceAllString(b.String(), "")
	return strings.ReplaceAll(joined, `\"`, `"`)
}

// TestEveryReasonOfReadyIsExplained, for it is where people begin.
func TestEveryReasonOfReadyIsExplained(t *testing.T) {
	t.Parallel()
	all := pages(t)
	_, ready, _ := strings.Cut(all["docs/reference/conditions.md"], "\n## Ready\n")
	ready, _, _ = strings.Cut(ready, "\n## ")
	explained, count := strings.Join(column(all["docs/troubleshooting.md"], "Reason of Ready"), " "), 0
	for _, m := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\| (False|Unknown)").FindAllStringSubmatch(ready, -1) {
		if count++; !strings.Contains(explained, m[1]) {
			t.Errorf("docs/troubleshooting.md does not explain %s", m[1])
		}
	}
	if count < 4 {
		t.Errorf("only %d reasons were found", count)
	}
}
