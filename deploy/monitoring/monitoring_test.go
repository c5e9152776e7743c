// Package monitoring_test checks what is shipped for Prometheus by Prometheus' own
// tool, and against what weir serves.
package monitoring_test

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/weir-sh/weir/pkg/telemetry"
)

// promtool runs it in this folder.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "promtool", args...).CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v; it is part of the package prometheus, which make deps installs\n%s", strings.Join(args, " "), err, out)
	}
}

// TestAlertsFireWhenTheyShould runs alerts_test.yaml.
func TestAlertsFireWhenTheyShould(t *testing.T) {
	promtool(t, "check", "rules", "--lint=all", "--lint-fatal", "alerts.yaml")
	promtool(t, "test", "rules", "alerts_test.yaml")
}

// read decodes a file.
func read(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err == nil {
		err = yaml.Unmarshal(text, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestAlertsAreAboutWhatIsServed: a metric or label that is misspelt is no error to
// Prometheus, and never fires.
func TestAlertsAreAboutWhatIsServed(t *testing.T) {
	var rules struct {
		Groups []struct {
			Rules []struct{ Alert, Expr string }
		}
	}
	read(t, "alerts.yaml", &rules)
	cases, err := os.ReadFile("alerts_test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	// Served by controller-runtime.
	catalogue := append(telemetry.Metrics(false), telemetry.Metric{Name: "leader_election_master_status", Labels: []string{"name"}})
	names := regexp.MustCompile(`\b(?:keda|weir|leader)_\w+`)
	known := func(name string) bool {
		return slices.ContainsFunc(catalogue, func(m telemetry.Metric) bool { return m.Name == strings.TrimSuffix(name, "_bucket") })
	}
	for _, r := range rules.Groups[0].Rules {
		found := names.FindAllString(r.Expr, -1)
		if len(found) == 0 || !slices.ContainsFunc(found, known) || slices.ContainsFunc(found, func(n string) bool { return !known(n) }) {
			t.Errorf("%s is about %q, which is not all served", r.Alert, found)
		}
		if !strings.Contains(string(cases), "        alertname: "+r.Alert+"\n") {
			t.Errorf("no case in alerts_test.yaml lets %s fire", r.Alert)
		}
		if !strings.Contains(string(page), "| `"+r.Alert+"` |") {
			t.Errorf("docs/metrics.md does not say what to do about %s", r.Alert)
		}
	}
	// The series of the cases have the labels that are served, and pod.
	for _, m := range regexp.MustCompile(`series: (\w+)\{(.*)\}`).FindAllStringSubmatch(string(cases), -1) {
		i := slices.IndexFunc(catalogue, func(c telemetry.Metric) bool { return c.Name == strings.TrimSuffix(m[1], "_bucket") })
		var labels []string
		for _, l := range regexp.MustCompile(`(\w+)="`).FindAllStringSubmatch(m[2], -1) {
			if l[1] != "pod" && l[1] != "le" {
				labels = append(labels, l[1])
			}
		}
		slices.Sort(labels)
		if i < 0 || !slices.Equal(labels, slices.Sorted(slices.Values(catalogue[i].Labels))) {
			t.Errorf("no case can come to pass in which %s has the labels %q", m[1], labels)
		}
	}
}

// TestPrometheusFindsThePods: the scrape configuration selects by what the
// Deployment has.
func TestPrometheusFindsThePods(t *testing.T) {
	var scrape struct {
		ScrapeConfigs []struct {
			HonorLabels bool `json:"honor_labels"`
			Discovery   []struct {
				Role       string
				Namespaces struct{ Names []string }
			} `json:"kubernetes_sd_configs"`
			Relabel []struct {
				Regex  string   `json:"regex"`
				Source []string `json:"source_labels"`
			} `json:"relabel_configs"`
		} `json:"scrape_configs"`
	}
	read(t, "scrape.yaml", &scrape)
	var deployment struct {
		Metadata struct{ Namespace string }
		Spec     struct {
			Template struct {
				Metadata struct{ Labels map[string]string }
				Spec     struct {
					Containers []struct{ Ports []struct{ Name string } }
				}
			}
		}
	}
	first, err := os.ReadFile("../base/deployment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal([]byte(strings.Split(string(first), "\n---\n")[0]), &deployment); err != nil {
		t.Fatal(err)
	}
	s, pod := scrape.ScrapeConfigs[0], deployment.Spec.Template
	if !s.HonorLabels || len(s.Discovery) != 1 || s.Discovery[0].Role != "pod" || !slices.Equal(s.Discovery[0].Namespaces.Names, []string{deployment.Metadata.Namespace}) {
		t.Errorf("%+v does not look for the pods of %s", s, deployment.Metadata.Namespace)
	}
	label, port, _ := strings.Cut(s.Relabel[0].Regex, ";")
	hasPort := slices.ContainsFunc(pod.Spec.Containers[0].Ports, func(p struct{ Name string }) bool { return p.Name == port })
	if pod.Metadata.Labels["app.kubernetes.io/name"] != label || !hasPort {
		t.Errorf("no pod has the label %q and a port %q", label, port)
	}
}
