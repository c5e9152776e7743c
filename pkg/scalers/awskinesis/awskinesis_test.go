package awskinesis_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/awskinesis"
	"github.com/weir-sh/weir/pkg/scalers/param"
	"github.com/weir-sh/weir/pkg/scalers/scalertest"
	awsfake "github.com/weir-sh/weir/test/fakes/aws"
)

func TestVectors(t *testing.T) { scalertest.KnownAnswers(t, 1, awskinesis.Scaler) }

func TestConformance(t *testing.T) {
	s := start(t)
	s.SetStream("clicks", 7)
	s.SetStream("none-open", 0)
	at := func(metadata ...string) param.Values { return values(s.URL, metadata...) }
	scalertest.Run(t, awskinesis.Scaler, []scalertest.Case{
		{Name: "open shards", Values: at(), Want: 7, MetricName: "s0-aws-kinesis-clicks"},
		{Name: "no open shard", Values: at("streamName", "none-open"), Want: 0},
		{Name: "a missing stream", Values: at("streamName", "none"), Err: `measuring stream "none": the stream does not exist; check the stream's name and the region, or create the stream`, Kind: scalers.NotFound},
	})
}

func TestFiveHundredStreamsAreFiveHundredRequestsOverFewConnections(t *testing.T) {
	s := start(t)
	all := make([]param.Values, 500)
	for i := range all {
		name := fmt.Sprintf("s%d", i)
		s.SetStream(name, i)
		all[i] = values(s.URL, "streamName", name)
	}
	readings, err := connect(t, all[0]).Fetch(t.Context(), queries(t, all...))
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range readings {
		if r.Err != nil || r.Value != float64(i) {
			t.Fatalf("stream %d: %v, %v", i, r.Value, r.Err)
		}
	}
	if n, m := s.Count(awsfake.DescribeStreamSummary), s.Connections(); n != 500 || m > 2 {
		t.Errorf("%d requests over %d connections", n, m)
	}
}

func TestFailuresHaveAKindAndShowNoSecret(t *testing.T) {
	const canary = "c4n4ry"
	for name, c := range map[string]struct {
		fault awsfake.Fault
		kind  scalers.Kind
		want  string
	}{
		"denied":      {awsfake.Fault{Code: "AccessDeniedException"}, scalers.Unauthorized, "AWS answered AccessDeniedException; allow the identity kinesis:DescribeStreamSummary on the stream"},
		"throttled":   {awsfake.Fault{Code: "LimitExceededException"}, scalers.Throttled, "AWS answered LimitExceededException"},
		"wrong shape": {awsfake.Fault{Status: 200, Raw: `{"` + canary + `":1}`}, scalers.BadAnswer, "the answer has no number of open shards; check that the endpoint is Kinesis"},
		"not of AWS":  {awsfake.Fault{Status: 404, Raw: canary}, scalers.BadAnswer, "the answer with status 404 is none of AWS; check that the endpoint is that of the service"},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			c.fault.Message = canary
			s.Fail(awsfake.DescribeStreamSummary, awsfake.Always(c.fault))
			v := values(s.URL)
			v.Auth = map[string]string{"awsAccessKeyID": canary, "awsSecretAccessKey": canary, "awsSessionToken": canary}
			readings, err := connect(t, v).Fetch(t.Context(), queries(t, v))
			if err != nil {
				t.Fatal(err)
			}
			if got := readings[0].Err; scalers.KindOf(got) != c.kind || got.Error() != `measuring stream "clicks": `+c.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestAWrongSecretIsRefused(t *testing.T) {
	s := start(t)
	s.SetStream("clicks", 1)
	v := values(s.URL)
	v.Auth = map[string]string{"awsAccessKeyID": "AK", "awsSecretAccessKey": "wrong"}
	readings, err := connect(t, v).Fetch(t.Context(), queries(t, v))
	if err != nil || scalers.KindOf(readings[0].Err) != scalers.Unauthorized || !strings.Contains(readings[0].Err.Error(), "InvalidSignatureException") {
		t.Errorf("%+v, %v", readings, err)
	}
	if regions := slices.Collect(func(yield func(string) bool) {
		for _, r := range s.Requests(awsfake.DescribeStreamSummary) {
			if !yield(r.Region) {
				return
			}
		}
	}); !slices.Equal(regions, []string{"eu-west-1"}) {
		t.Errorf("signed for %q", regions)
	}
}
