package resource_test

import (
	"fmt"
	"testing"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
	"github.com/weir-sh/weir/pkg/scalers/resource"
	"github.com/weir-sh/weir/pkg/scalers/scalertest"
)

func definition(t *testing.T, typ string) *scalers.Definition {
	t.Helper()
	r, err := scalers.NewRegistry(resource.Scalers()...)
	if err != nil {
		t.Fatal(err)
	}
	d, err := r.Find(typ)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestVectors(t *testing.T) { scalertest.KnownAnswers(t, 3, resource.Scalers()...) }

func TestPromises(t *testing.T) {
	for _, d := range resource.Scalers() {
		t.Run(d.Type, func(t *testing.T) { scalertest.Describe(t, d) })
	}
}

func TestWhatTheHPAGets(t *testing.T) {
	for _, typ := range []string{"cpu", "memory"} {
		d := definition(t, typ)
		trigger, warnings, err := d.Parse(param.Values{
			Metadata: map[string]string{"value": " 500m ", "containerName": "app"}, MetricType: "AverageValue",
		})
		got, ok := trigger.Resource()
		if want := (scalers.Resource{Name: typ, Container: "app", Target: "500m"}); err != nil || len(warnings) > 0 || !ok || got != want {
			t.Errorf("%+v, %v, %v, %v; want %+v", got, ok, warnings, err, want)
		}
		if _, err := trigger.Source.Open(t.Context(), scalers.Env{}); err == nil || !d.ReadByHPA {
			t.Errorf("%s can be opened", typ)
		}
	}
}

func TestValues(t *testing.T) {
	const (
		percent  = `parameter "value" must be a whole number of percent, such as "70", with metricType Utilization []`
		amount   = `parameter "value" must be a quantity such as "500m" or "512Mi", with metricType AverageValue []`
		nothing  = `<nil> [parameter "value" is not above zero; Kubernetes refuses the HPA]`
		typeless = "metricType must be Utilization or AverageValue for cpu and memory; set it on the trigger, beside metadata []"
		fine     = "<nil> []"
	)
	for _, c := range []struct{ metricType, value, want string }{
		{"Utilization", "70", fine},
		{"Utilization", "150", fine},
		{"Utilization", "0", nothing},
		{"Utilization", "-5", nothing},
		{"Utilization", "70%", percent},
		{"Utilization", "0.5", percent},
		{"Utilization", "2147483648", percent},
		{"AverageValue", "500m", fine},
		{"AverageValue", "1.5", fine},
		{"AverageValue", "1.", fine},
		{"AverageValue", ".5", fine},
		{"AverageValue", "+2Gi", fine},
		{"AverageValue", "2E", fine},
		{"AverageValue", "2e3", fine},
		{"AverageValue", "2E-3", fine},
		{"AverageValue", "100k", fine},
		{"AverageValue", "0", nothing},
		{"AverageValue", "0.00Mi", nothing},
		{"AverageValue", "-1", nothing},
		{"AverageValue", "abc", amount},
		{"AverageValue", "1K", amount},
		{"AverageValue", "1mi", amount},
		{"AverageValue", "1 Gi", amount},
		{"AverageValue", ".", amount},
		{"AverageValue", "2e", amount},
		{"AverageValue", "1e9999", amount},
		{"Value", "50", typeless},
		{"", "50", typeless},
		{"utilization", "50", typeless},
	} {
		_, warnings, err := definition(t, "cpu").Parse(param.Values{Metadata: map[string]string{"value": c.value}, MetricType: c.metricType})
		if got := fmt.Sprint(err, " ", warnings); got != c.want {
			t.Errorf("%s %s: got %s, want %s", c.metricType, c.value, got, c.want)
		}
	}
}

func TestTheRemovedParameterIsRefused(t *testing.T) {
	_, _, err := definition(t, "memory").Parse(param.Values{Metadata: map[string]string{"type": "Utilization"}, MetricType: "Utilization"})
	want := "parameter \"type\" is no longer a parameter; set metricType on the trigger, beside metadata\nparameter \"value\" is required; set it in the trigger's metadata"
	if fmt.Sprint(err) != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}
