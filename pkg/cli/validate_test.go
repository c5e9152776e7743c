package cli_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-sh/weir/pkg/cli"
)

// Each folder is one input; its file args holds further flags.
func TestValidate(t *testing.T) {
	dirs, err := filepath.Glob("testdata/validate/*")
	if err != nil || len(dirs) < 8 {
		t.Fatalf("%d cases, %v", len(dirs), err)
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Chdir(dir)
			args := []string{"validate", "-f", "."}
			if more, err := os.ReadFile("args"); err == nil {
				args = append(args, strings.Fields(string(more))...)
			}
			human := run(t, actual(t), "", args...)
			golden(t, "want.txt", fmt.Sprintf("%s(exit status %d)\n", human.out, human.status))
			asJSON := run(t, actual(t), "", append(args, "-o", "json")...)
			golden(t, "want-json.txt", asJSON.out)
			if asJSON.status != human.status || human.err+asJSON.err != "" {
				t.Errorf("status %d and %d, %s%s", human.status, asJSON.status, human.err, asJSON.err)
			}
			if strings.Contains(human.out+asJSON.out, "hunter2") {
				t.Error("a secret is shown")
			}
			checkArray(t, asJSON)
		})
	}
}

// checkArray checks what every JSON result promises.
func checkArray(t *testing.T, got outcome) {
	t.Helper()
	var all []map[string]any
	if err := json.Unmarshal([]byte(got.out), &all); err != nil {
		t.Fatal(err)
	}
	wrong := false
	for _, e := range all {
		for _, k := range []string{"file", "kind", "namespace", "name", "trigger", "type", "ok", "metricName", "targetType", "target", "errors", "warnings"} {
			if v, ok := e[k]; !ok || v == nil {
				t.Errorf("no %s in %v", k, e)
			}
		}
		errs, ok := e["errors"].([]any)
		if len(e) != 12 || !ok || (len(errs) == 0) != (e["ok"] == true) {
			t.Errorf("odd element %v", e)
		}
		wrong = wrong || e["ok"] != true
	}
	if wrong != (got.status == cli.StatusWrong) {
		t.Errorf("status %d, but wrong is %t", got.status, wrong)
	}
}

const fineObject = `apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: orders}
spec:
  scaleTargetRef: {name: orders}
  triggers:
    - {type: redis, metadata: {address: "redis:6379", listName: orders}}
`

func TestInputComesFromFilesAndTheStandardInput(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for name, content := range map[string]string{
		"a.yaml": fineObject, "b.txt": strings.ReplaceAll(fineObject, "orders", "b"), "c.txt": "{",
		".hidden/x.yaml": "{", "d/e/f.yaml": strings.ReplaceAll(fineObject, "orders", "f"),
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const none = "warning: -: holds no ScaledObject and no ScaledJob\n0 objects with 0 triggers: 1 warning\n"
	for _, tc := range []struct {
		name   string
		stdin  string
		args   []string
		want   string
		status int
	}{
		{"a directory", "", []string{"-f", "."}, "2 objects with 2 triggers: all fine\n", 0},
		{"a file whatever its name", "", []string{"-f", "b.txt"}, "1 object with 1 trigger: all fine\n", 0},
		{"several files, with and without flag", "", []string{"-f", "a.yaml", "-f", "b.txt", "d"}, "3 objects with 3 triggers: all fine\n", 0},
		{"the standard input", fineObject, []string{"-f", "-"}, "1 object with 1 trigger: all fine\n", 0},
		{"a byte order mark and Windows line ends", "\ufeff" + strings.ReplaceAll(fineObject+"---\n", "\n", "\r\n"), []string{"-f", "-"}, "1 object with 1 trigger: all fine\n", 0},
		{"documents without objects", "---\n# nothing\n---\n\n--- # more\n" + fineObject, []string{"-f", "-"}, "1 object with 1 trigger: all fine\n", 0},
		{"nothing at all", "", []string{"-f", "-"}, none, 0},
		{"nothing at all, strictly", "", []string{"--strict", "-f", "-"}, strings.ReplaceAll(strings.ReplaceAll(none, "warning: ", "error: "), "1 warning", "1 error"), 1},
		{"no such file", "", []string{"-f", "nowhere.yaml"}, "error: nowhere.yaml: cannot be read: no such file or directory\n0 objects with 0 triggers: 1 error\n", 1},
		{"a broken file beside a good one", "", []string{"-f", "c.txt", "-f", "a.yaml"}, "error: c.txt: cannot be decoded: line 1: did not find expected node content\n1 object with 1 trigger: 1 error\n", 1},
		{
			"a line number as an editor counts", "a: b\n---\nc: d\n---\ne: f\n g: h\n",
			[]string{"-f", "-"},
			"error: -: document 3: cannot be decoded: line 6: mapping values are not allowed in this context\n0 objects with 0 triggers: 1 error\n", 1,
		},
		{"another namespace", fineObject + "---\n" + strings.ReplaceAll(fineObject, "{name: orders}\nspec", "{name: orders, namespace: x}\nspec"), []string{"-n", "x", "-f", "-"}, "error: -: ScaledObject x/orders: metadata.name: the same object is also in ScaledObject x/orders (-); keep one of the two\nerror: -: ScaledObject x/orders: metadata.name: the same object is also in ScaledObject x/orders (-); keep one of the two\n2 objects with 2 triggers: 2 errors\n", 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := run(t, actual(t), tc.stdin, append([]string{"validate"}, tc.args...)...)
			if got.out != tc.want || got.status != tc.status {
				t.Errorf("%d\n%s%s\nwant %d\n%s", got.status, got.out, got.err, tc.status, tc.want)
			}
		})
	}
}

// The container that a cluster would take variables from is the one that counts.
func TestEnvironmentComesFromTheRightWorkload(t *testing.T) {
	t.Parallel()
	object := func(target string) string {
		return strings.NewReplacer("{name: orders}\n  t", target+"\n  t", `address: "redis:6379"`, "addressFromEnv: REDIS").Replace(fineObject)
	}
	workload := func(head, container string) string {
		return "---\n" + head + "\nmetadata: {name: orders}\nspec: {template: {spec: {containers: [" + container + "]}}}\n"
	}
	const set, unset = `{name: a, env: [{name: REDIS, value: "redis:6379"}]}`, `{name: b}`
	for _, tc := range []struct{ name, input, want string }{
		{"a Deployment", object("{name: orders}") + workload("apiVersion: apps/v1\nkind: Deployment", set), ""},
		{"another version of the kind", object("{name: orders}") + workload("apiVersion: apps/v1beta1\nkind: Deployment", set), ""},
		{"a StatefulSet", object("{name: orders, kind: StatefulSet}") + workload("apiVersion: apps/v1\nkind: StatefulSet", set), ""},
		{"a kind of its own", object("{name: orders, apiVersion: argoproj.io/v1alpha1, kind: Rollout}") + workload("apiVersion: argoproj.io/v1alpha1\nkind: Rollout", set), ""},
		{"the named container", object("{name: orders, envSourceContainerName: a}") + workload("apiVersion: apps/v1\nkind: Deployment", unset+","+set), ""},
		{
			"the first container", object("{name: orders}") + workload("apiVersion: apps/v1\nkind: Deployment", unset+","+set),
			`spec.triggers[0].metadata.address: is required`,
		},
		{
			"a container that is not there", object("{name: orders, envSourceContainerName: c}") + workload("apiVersion: apps/v1\nkind: Deployment", set),
			`spec.triggers[0]: the workload has no container "c"; it has ["a"]`,
		},
		{
			"another kind", object("{name: orders, kind: StatefulSet}") + workload("apiVersion: apps/v1\nkind: Deployment", set),
			`spec.scaleTargetRef: StatefulSet "default/orders" is not in the input, so that environment variables are not known: REDIS`,
		},
		{
			"a workload without pod template", object("{name: orders}") + "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: orders}\n",
			`spec.triggers[0].metadata.address: is required`,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got := run(t, actual(t), tc.input, "validate", "-f", "-")
			if tc.want == "" && got.status != 0 || !strings.Contains(got.out, tc.want) {
				t.Errorf("%d\n%s", got.status, got.out)
			}
		})
	}
}

func TestADirectoryMayBeALink(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.Mkdir("real", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("real/a.yaml", []byte(fineObject), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("real", "link"); err != nil {
		t.Fatal(err)
	}
	if got := run(t, actual(t), "", "validate", "-f", "link"); got.status != 0 || got.out != "1 object with 1 trigger: all fine\n" {
		t.Errorf("%+v", got)
	}
}

func TestNamesCannotMoveTheCursor(t *testing.T) {
	t.Parallel()
	got := run(t, actual(t), strings.ReplaceAll(fineObject, "{name: orders}\nspec:", `{name: "\e[2Jgone", namespace: "\u202e"}`+"\nspec:\n  pollingInterval: 0"), "validate", "-f", "-")
	if want := "error: -: ScaledObject \ufffd/\ufffd[2Jgone: spec.pollingInterval: must be greater than or equal to 1\n1 object with 1 trigger: 1 error\n"; got.out != want {
		t.Errorf("%q", got.out)
	}
}

// An object without a spec has one problem, not one for each field it lacks.
func TestWhatIsMissingIsSaidOnce(t *testing.T) {
	t.Parallel()
	got := run(t, actual(t), "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: a}\n", "validate", "-f", "-")
	if want := "error: -: ScaledObject default/a: spec: is required\n1 object with 0 triggers: 1 error\n"; got.out != want || got.status != 1 {
		t.Errorf("%d %q", got.status, got.out)
	}
}

func TestKindsThatCannotBeScaledAreRefused(t *testing.T) {
	t.Parallel()
	const apps = "is no kind of apps/v1 that can be scaled, which are: Deployment, StatefulSet, ReplicaSet"
	for target, want := range map[string]string{
		"":                    "",
		", kind: StatefulSet": "",
		", kind: Deplyment":   apps,
		", kind: DaemonSet":   apps,
		", apiVersion: v1":    "is no kind of v1 that can be scaled, which are: ReplicationController",
		", kind: Rollout, apiVersion: argoproj.io/v1alpha1": "",
		", kind: CronJob, apiVersion: batch/v1":             "Jobs cannot be scaled; write a ScaledJob, which creates them",
		", kind: ReplicationController, apiVersion: v1":     "",
	} {
		got := run(t, actual(t), strings.Replace(fineObject, "{name: orders}\n  t", "{name: orders"+target+"}\n  t", 1), "validate", "-f", "-")
		if want == "" && got.status != cli.StatusFine || want != "" && !strings.Contains(got.out, "spec.scaleTargetRef.kind: "+want+"\n") {
			t.Errorf("%q: %d %s", target, got.status, got.out)
		}
	}
}

// Whatever a file holds, the result is an array and the status fits it.
func FuzzValidate(f *testing.F) {
	files, err := filepath.Glob("testdata/validate/*/*.yaml")
	if err != nil || len(files) == 0 {
		f.Fatal(err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for doc := range strings.SplitSeq(string(raw), "---\n") {
			f.Add(doc)
		}
	}
	for _, odd := range []string{
		"kind: ScaledObject\nspec: []\nmetadata: 5", "kind: ScaledJob\nspec: {triggers: [1, {metadata: []}]}",
		"kind: ScaledObject\nmetadata: {name: {}, annotations: [], labels: {a: {}}}\nspec: {triggers: [{type: redis, metadata: {a: {b: c}}}]}",
		"apiVersion: v1\nkind: Secret\ndata: []\nmetadata: null", "kind: List\nitems: {}", "apiVersion: a/b/c\nkind: []",
		"apiVersion: v1\nkind: List\nitems: [{kind: List, items: [null]}]", "apiVersion: apps/v1\nkind: Deployment\nspec: {template: {spec: 7}}",
		"apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {generateName: a-}\nspec: {scaleTargetRef: {name: b}, triggers: [{type: redis, metadata: {}, authenticationRef: null}]}",
	} {
		f.Add(odd)
	}
	f.Fuzz(func(t *testing.T, input string) {
		checkArray(t, run(t, actual(t), input, "validate", "-f", "-", "-o", "json"))
	})
}
