package explain_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/explain"
)

func TestMistakesInTheCommandLineHaveStatusTwo(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ args, want string }{
		{"explain", `weir explain: a NAME is missing; list what there is with: weir status`},
		{"explain a b", `weir explain: unexpected argument "b"`},
		{"explain so/a", `weir explain: "so/a" is no name: it may not contain '/'`},
		{"explain ..", `weir explain: ".." is no name: it may not be '..'`},
		{"explain a -n %2e", `weir explain: "%2e" is no name: it may not contain '%'`},
		{"explain a --output=yaml", `weir explain: --output must be text or json`},
		{"explain a --kind=Deployment", `weir explain: --kind must be ScaledObject or ScaledJob`},
		{"explain a --last=-1", `weir explain: --last must be from 0 to 100`},
		{"explain a --last=101", `weir explain: --last must be from 0 to 100`},
		{"status a b", `weir status: unexpected argument "b"`},
		{"status a -A", `weir status: --all-namespaces lists objects; leave out NAME, or give --namespace`},
		{"status --output=yaml", `weir status: --output must be text or wide or json`},
	} {
		got := execute(t, strings.Fields(tc.args)...)
		command, _, _ := strings.Cut(tc.args, " ")
		want := tc.want + "\nRun 'weir " + command + " --help' for usage.\n"
		if got.status != explain.StatusUsage || got.out != "" || got.err != want {
			t.Errorf("%s: status %d, output %q, messages %q; want %q", tc.args, got.status, got.out, got.err, want)
		}
	}
}

func TestWhatCannotBeExplainedHasStatusOne(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*scene)
		args   string
		want   string
	}{
		"there is no such object": {
			nil, "explain nothing",
			`no ScaledObject or ScaledJob "nothing" in namespace "shop"; list what there is with: weir status -n shop, or weir status -A`,
		},
		"there is none of the kind": {
			nil, "status orders --kind=scaledjob",
			`no ScaledJob "orders" in namespace "shop"; list what there is with: weir status -n shop, or weir status -A`,
		},
		"the namespace of another context": {
			nil, "explain orders --context=other",
			`no ScaledObject or ScaledJob "orders" in namespace "other"; there is one in namespace "shop": give -n shop`,
		},
		"another namespace": {
			nil, "explain orders --context=other -n elsewhere",
			`no ScaledObject or ScaledJob "orders" in namespace "elsewhere"; there is one in namespace "shop": give -n shop`,
		},
		"another namespace, and no right to look into all": {
			func(s *scene) { s.forbidden = []string{"/v1alpha1/scaledobjects", "/v1alpha1/scaledjobs"} }, "explain orders -n elsewhere",
			`no ScaledObject or ScaledJob "orders" in namespace "elsewhere"; list what there is with: weir status -n elsewhere, or weir status -A`,
		},
		"the object may not be read": {
			func(s *scene) { s.forbidden = []string{"keda.sh"} }, "explain orders",
			`ScaledObject "orders" in namespace "shop": not allowed (needs get scaledobjects.keda.sh)`,
		},
		"the API server fails": {
			func(s *scene) { s.broken = []string{"keda.sh"} }, "explain orders",
			`ScaledObject "orders" in namespace "shop": cannot be read: the server says InternalError`,
		},
		"nothing may be listed": {
			func(s *scene) { s.forbidden = []string{"keda.sh"} }, "status",
			`ScaledObjects: not allowed (needs list scaledobjects.keda.sh)`,
		},
		"no such kinds": {nil, "status -n elsewhere", `the API server does not know the kinds of keda.sh; install weir's CRDs`},
		"no such context": {
			nil, "explain orders --context=none", "finding the namespace: invalid configuration: [context was not found for specified context: none, cluster has no server defined]",
		},
	} {
		s := newScene()
		if tc.change != nil {
			tc.change(s)
		}
		if got := s.run(t, strings.Fields(tc.args)...); got.status != explain.StatusFailed || got.out != "" || got.err != tc.want+"\n" {
			t.Errorf("%s: status %d, output %q, messages %q; want %q", name, got.status, got.out, got.err, tc.want)
		}
	}
}

func TestANameInManyNamespacesIsNotListedWhole(t *testing.T) {
	t.Parallel()
	err := &explain.NotFoundError{Kind: "ScaledJob", Namespace: "shop", Name: "orders", Elsewhere: []string{"a", "b", "c"}}
	if want := `no ScaledJob "orders" in namespace "shop"; there are in 3 others, such as "a": give -n a`; err.Error() != want {
		t.Errorf("got  %s\nwant %s", err, want)
	}
}

func TestWhyWeirWasNotSeen(t *testing.T) {
	t.Parallel()
	const forward = "or run kubectl -n weir-system port-forward service/weir 8080 and give --server=http://localhost:8080"
	for name, tc := range map[string]struct {
		change func(*scene)
		args   string
		want   string
	}{
		"through the API server": {nil, "", ""},
		"directly":               {nil, "--server=SERVER/", ""},
		"no right": {
			func(s *scene) { s.forbidden = []string{"/services/"} }, "",
			`not allowed (needs get services/proxy of "http:weir:metrics" in namespace weir-system, as Role weir-explain allows); ask for it, ` + forward,
		},
		"no right to another Service": {
			func(s *scene) { s.forbidden = []string{"/services/http:other:metrics/"} }, "--weir-service=other --weir-namespace=ns",
			`not allowed (needs get services/proxy of "http:other:metrics" in namespace ns, as Role weir-explain allows); ask for it, ` +
				"or run kubectl -n ns port-forward service/other 8080 and give --server=http://localhost:8080",
		},
		"another Service": {
			nil, "--weir-service=other --weir-namespace=ns",
			`Service "other" in namespace "ns" does not exist, or leads to no replica: see kubectl -n ns get services,pods; ` +
				`--weir-namespace and --weir-service name another`,
		},
		"an object it does not know": {
			func(s *scene) { s.weir.Name = "unknown" }, "", "it does not know the object: only the leader does, once it has looked at it",
		},
		"an error on the way": {func(s *scene) { s.broken = []string{"/services/"} }, "", "cannot be read: the server says InternalError; " + forward},
		"directly and unknown": {
			func(s *scene) { s.weir = nil }, "--server=SERVER", "it does not know the object: only the leader does, once it has looked at it",
		},
		"directly and broken": {
			func(s *scene) { s.broken = []string{"/debug/weir"} }, "--server=SERVER",
			"cannot be read: asking weir: it answered 500 Internal Server Error; correct --server",
		},
	} {
		s := newScene()
		if tc.change != nil {
			tc.change(s)
		}
		got := s.run(t, append([]string{"explain", "orders", "-o=json"}, strings.Fields(tc.args)...)...)
		var r explain.Report
		if err := json.Unmarshal([]byte(got.out), &r); err != nil {
			t.Fatalf("%s: %v: %s", name, err, got.err)
		}
		why := ""
		for _, u := range r.Unseen {
			why += u.Why
		}
		if tc.want == "" && (len(r.Decisions) != 2 || why != "") {
			t.Errorf("%s: %d decisions, and %q was not seen", name, len(r.Decisions), why)
		}
		if !strings.Contains(why, tc.want) {
			t.Errorf("%s: got  %s\nwant %s", name, why, tc.want)
		}
	}
}

func TestJSONIsStable(t *testing.T) {
	t.Parallel()
	s := newScene()
	s.value(47, true)
	golden(t, filepath.Join("testdata", "report.json"), s.run(t, "explain", "orders", "-o", "json", "--last", "1").out)
	golden(t, filepath.Join("testdata", "list.json"), newScene().run(t, "status", "-o", "json").out)
}

func TestNoDecisionsAreShownWhenNoneAreAskedFor(t *testing.T) {
	t.Parallel()
	if got := newScene().run(t, "explain", "orders", "--last=0"); strings.Contains(got.out, "Last decisions") {
		t.Error(got.out)
	}
}

func TestStatusListsWhatIsScaled(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	show := func(name string, status int, s *scene, args ...string) {
		t.Helper()
		got := s.run(t, append([]string{"status"}, args...)...)
		if got.status != status || got.err != "" {
			t.Errorf("%s: status %d, want %d; %s", name, got.status, status, got.err)
		}
		out.WriteString("# " + name + "\n" + got.out + "\n")
	}
	show("one namespace", 0, newScene())
	show("all namespaces", 0, newScene(), "-A")
	show("wide", 0, newScene(), "-o", "wide")
	paused := newScene()
	paused.so.Annotations[v1alpha1.AnnotationPaused] = "true"
	paused.condition(v1alpha1.ConditionPaused, "True", v1alpha1.ReasonScaledObjectPaused, "scaling is paused by annotation", time.Hour)
	show("paused", 0, paused)
	halfPaused := newScene()
	halfPaused.condition(v1alpha1.ConditionPaused, "True", v1alpha1.ReasonScaledObjectPaused, "scale-in is paused by annotation", time.Hour)
	show("scale-in paused", 0, halfPaused)
	sick := newScene()
	sick.condition(v1alpha1.ConditionReady, "False", v1alpha1.ReasonTriggerError, "s0-redis-jobs cannot be read (down)", time.Hour)
	show("not ready", explain.StatusAttention, sick, "-o", "wide")
	job := newScene()
	jobs(job, 3)
	show("a ScaledJob", 0, job)
	show("only ScaledObjects", 0, job, "--kind=ScaledObject")
	blind := newScene()
	blind.forbidden = []string{"/deployments", "/horizontalpodautoscalers", "/scaledjobs"}
	show("without rights", 0, blind)
	withHPA := newScene()
	withHPA.forbidden = []string{"/deployments"}
	show("with the HPA alone", 0, withHPA)
	golden(t, filepath.Join("testdata", "list.txt"), out.String())
}

// TestDocumentation checks that docs/explain.md shows what the commands print.
func TestDocumentation(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(filepath.Join("..", "..", "docs", "explain.md"))
	if err != nil {
		t.Fatal(err)
	}
	outputs := 0
	for i, block := range strings.Split(string(raw), "```") {
		if i%2 == 0 || !strings.HasPrefix(block, "text\n$ weir ") {
			continue
		}
		outputs++
		files, err := filepath.Glob(filepath.Join("testdata", "*.txt"))
		if err != nil {
			t.Fatal(err)
		}
		if !shownIn(t, files, strings.TrimPrefix(block, "text\n")) {
			t.Errorf("no golden file holds this example of docs/explain.md; copy it from testdata:\n%s", block)
		}
	}
	if outputs == 0 {
		t.Error("docs/explain.md shows no output")
	}
	for _, s := range slices.Concat(situations(), moreSituations()) {
		if !strings.Contains(string(raw), "`"+string(s.state)+"`") {
			t.Errorf("docs/explain.md does not explain the state %s", s.state)
		}
	}
}

func shownIn(t *testing.T, files []string, text string) bool {
	t.Helper()
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(raw), text) {
			return true
		}
	}
	return false
}
