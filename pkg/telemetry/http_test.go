package telemetry_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/weir-sh/weir/pkg/snapshot"
	"github.com/weir-sh/weir/pkg/telemetry"
)

// answering is a transport that answers every request with a status; with zero
// it fails.
type answering int

func (a answering) RoundTrip(*http.Request) (*http.Response, error) {
	if a == 0 {
		return nil, errors.New("no")
	}
	return &http.Response{StatusCode: int(a), Body: io.NopCloser(strings.NewReader(""))}, nil
}

// call is what a request is for, in its context.
type call struct{ scaler, object string }

type callKey struct{}

// callOf is the Config.Call of a scene.
func callOf(ctx context.Context) (scaler, object string) {
	c, _ := ctx.Value(callKey{}).(call)
	return c.scaler, c.object
}

// request makes one request for a scaler and an object, which is answered with the
// status. It is not to measure when there is no scaler.
func request(t testing.TB, s *scene, scaler, object string, status int) {
	t.Helper()
	ctx := context.WithValue(t.Context(), callKey{}, call{scaler, object})
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://example.test/", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.Transport(answering(status)).RoundTrip(req)
	if (err != nil) != (status == 0) {
		t.Fatalf("the error is %v", err)
	}
	if err == nil {
		if err := resp.Body.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestRequestsAreCountedForTheTriggerTheyServe(t *testing.T) {
	s := newScene(t, nil)
	prom := func(i int, name string) snapshot.Trigger {
		return snapshot.Trigger{Index: i, Type: "prometheus", Name: name, Metric: "s0-prometheus"}
	}
	s.objects = []snapshot.Object{
		queue("shop", "one", prom(0, "rps"), list(1, "", 0)), queue("shop", "two", prom(0, "a"), prom(1, "b")),
		{Kind: "ScaledJob", Namespace: "shop", Name: "three", Triggers: []snapshot.Trigger{prom(0, "")}},
	}
	for _, c := range []struct {
		owner  string
		status int
	}{
		{"scaledobject/shop/one", 200},
		{"scaledobject/shop/one", 200},
		{"scaledobject/shop/one", 0},
		{"scaledobject/shop/two", 503},
		{"scaledjob/shop/three", 200},
		{"scaledobject/shop/gone", 200},
		{"", 404},
	} {
		request(t, s, "prometheus", c.owner, c.status)
	}
	request(t, s, "", "", 200) // not to measure
	s.want(t, `
		keda_scaler_http_requests_total{metric_name="",namespace="",scaled_resource="",scaler="prometheus",status_code="404",trigger_name=""} 1
		keda_scaler_http_requests_total{metric_name="",namespace="shop",scaled_resource="two",scaler="prometheus",status_code="503",trigger_name=""} 1
		keda_scaler_http_requests_total{metric_name="s0-prometheus",namespace="shop",scaled_resource="one",scaler="prometheus",status_code="200",trigger_name="rps"} 2
		keda_scaler_http_requests_total{metric_name="s0-prometheus",namespace="shop",scaled_resource="one",scaler="prometheus",status_code="error",trigger_name="rps"} 1
		keda_scaler_http_requests_total{metric_name="s0-prometheus",namespace="shop",scaled_resource="three",scaler="prometheus",status_code="200",trigger_name=""} 1
	`, "keda_scaler_http_requests_total")
	if got, want := s.scrape(t, "keda_scaler_http_request_duration_seconds"), `keda_scaler_http_request_duration_seconds_count{scaler="prometheus",status_code="200"} 4`; !strings.Contains(got, want) {
		t.Errorf("no line %s in\n%s", want, got)
	}
}

func TestTimesOfRequestsAreKeptByObjectWhereThatIsAskedFor(t *testing.T) {
	s := newScene(t, func(c *telemetry.Config) { c.HighCardinality = true })
	s.objects = []snapshot.Object{queue("shop", "one", snapshot.Trigger{Type: "loki", Name: "lines", Metric: "s0-loki"})}
	request(t, s, "loki", "scaledobject/shop/one", 200)
	request(t, s, "loki", "", 200)
	got := s.scrape(t, "keda_scaler_http_request_duration_seconds")
	for _, want := range []string{
		`_count{metric_name="s0-loki",namespace="shop",scaled_resource="one",scaler="loki",status_code="200",trigger_name="lines"} 1`,
		`_count{metric_name="",namespace="",scaled_resource="",scaler="loki",status_code="200",trigger_name=""} 1`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no line %s in\n%s", want, got)
		}
	}
	s.objects = nil
	if got := s.scrape(t, "keda_scaler_http_request_duration_seconds"); strings.Contains(got, `"one"`) {
		t.Errorf("after the end of the object:\n%s", got)
	}
}

func TestATransportCanBeSplitAndPutAroundAnother(t *testing.T) {
	s, own := newScene(t, nil), &http.Transport{}
	transport := s.Transport(own)
	if transport.Unwrap() != http.RoundTripper(own) {
		t.Error("the transport does not give what it is around")
	}
	transport.CloseIdleConnections()
	if again, ok := transport.Around(answering(200)).(*telemetry.Transport); !ok || again.Unwrap() != http.RoundTripper(answering(200)) {
		t.Error("the transport does not count for another")
	}
}
