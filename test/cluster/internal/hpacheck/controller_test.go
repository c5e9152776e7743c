package hpacheck

import (
	"flag"
	"io"
	"os"
	"testing"

	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/klog/v2"
)

var (
	update = flag.Bool("update", false, "generate the records anew")
	cases  = flag.Int("cases", 352, "how many to generate")
	seed   = flag.Uint64("seed", 1, "which ones to generate")
)

func TestMain(m *testing.M) {
	flag.Parse()
	// The controller tells of each metric that it could not read, and waits then.
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
	utilruntime.ErrorHandlers = nil
	os.Exit(m.Run())
}

func TestControllerDoesWhatIsRecorded(t *testing.T) {
	if *update {
		all := make([]record, *cases)
		for i := range all {
			all[i] = generate(t, *seed, i)
		}
		writeRecords(t, all)
	}
	all := readRecords(t)
	if len(all) < 300 {
		t.Errorf("there are %d records, want at least 300", len(all))
	}
	for _, r := range all {
		t.Run(r.Name, func(t *testing.T) { run(t, &r, len(r.Syncs), nil, nil) })
	}
	for _, what := range []string{
		"able +ReadyForNewScale", "able +ScaleDownStabilized", "able +ScaleUpStabilized", "able +SucceededRescale", "able +SucceededGetScale",
		"active +ValidMetricFound", "active -ScalingDisabled", "active -FailedGetExternalMetric", "active -FailedGetResourceMetric", "active -FailedGetContainerResourceMetric",
		"limit -DesiredWithinRange", "limit +ScaleUpLimit", "limit +ScaleDownLimit", "limit +TooManyReplicas", "limit +TooFewReplicas",
		"zero +ScaledToZero", "zero -NotScaledToZero",
	} {
		if n := coverage(all)[what]; n < 20 {
			t.Errorf("%q is in %d syncs, want at least 20", what, n)
		}
	}
	t.Log(coverage(all))
}
