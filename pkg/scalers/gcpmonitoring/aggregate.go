package gcpmonitoring

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"

	"cloud.google.com/go/monitoring/apiv3/v2/monitoringpb"
	"google.golang.org/genproto/googleapis/api/distribution"
)

// parseAggregation takes what users write; the kind is empty when it is none.
func parseAggregation(text string) (kind string, percentile int64) {
	if n, ok := strings.CutPrefix(text, "percentile"); ok {
		v, err := strconv.ParseUint(n, 10, 8)
		if err != nil || v > 100 {
			return "", 0
		}
		return "percentile", int64(v)
	}
	if slices.Contains([]string{"mean", "median", "variance", "stddev", "sum", "count"}, text) {
		return text, 0
	}
	return "", 0
}

// population is a set of values, known one by one or by how many are in which
// range.
type population struct {
	count   float64
	mean    float64
	squares float64 // sum of the squared deviations from the mean
	values  []float64
	bounds  []float64 // ends of the ranges, without the last
	buckets []float64 // how many values each range has; one more than bounds
}

// aggregate makes one number of the newest values of all series.
func (q query) aggregate(points []*monitoringpb.Point) (float64, error) {
	var all population
	for _, p := range points {
		if err := all.add(p.GetValue()); err != nil {
			return 0, err
		}
	}
	if all.count == 0 && q.aggregation != "sum" {
		return 0, nil // nothing happened in the period
	}
	switch q.aggregation {
	case "mean":
		return all.mean, nil
	case "sum":
		return all.mean * all.count, nil
	case "count":
		return all.count, nil
	case "variance":
		return all.squares / all.count, nil
	case "stddev":
		return math.Sqrt(all.squares / all.count), nil
	case "median":
		return all.percentile(50), nil
	default:
		return all.percentile(float64(q.percentile)), nil
	}
}

// add takes a number, or all values of a distribution.
func (a *population) add(v *monitoringpb.TypedValue) error {
	d := v.GetDistributionValue()
	if d == nil {
		n, err := number(v)
		if err != nil {
			return err
		}
		a.values = append(a.values, n)
		a.join(1, n, 0)
		return a.uniform()
	}
	a.join(float64(d.GetCount()), d.GetMean(), d.GetSumOfSquaredDeviation())
	return errors.Join(a.merge(d), a.uniform())
}

// join adds a population of which only the moments are known.
func (a *population) join(count, mean, squares float64) {
	total := a.count + count
	if total == 0 {
		return
	}
	away := mean - a.mean
	a.squares += squares + away*away*a.count*count/total
	a.mean += away * count / total
	a.count = total
}

// uniform refuses numbers among distributions.
func (a *population) uniform() error {
	if len(a.values) > 0 && len(a.buckets) > 0 {
		return errors.New("numbers and distributions are mixed")
	}
	return nil
}

// merge adds the ranges of a distribution.
func (a *population) merge(d *distribution.Distribution) error {
	counts := d.GetBucketCounts()
	if len(counts) == 0 {
		return nil // there are no values, or ranges are not told
	}
	bounds := ends(d.GetBucketOptions())
	switch {
	case len(bounds)+1 < len(counts):
		return errors.New("a distribution's ranges and counts do not fit")
	case a.buckets == nil:
		a.bounds, a.buckets = bounds, make([]float64, len(bounds)+1)
	case !slices.Equal(a.bounds, bounds):
		return errors.New("the ranges of two distributions differ")
	}
	for i, n := range counts {
		a.buckets[i] += float64(n)
	}
	return nil
}

// mostRanges bounds what a distribution may ask for.
const mostRanges = 10_000

// ends gives the ends of all ranges but the last, which is open.
func ends(o *distribution.Distribution_BucketOptions) []float64 {
	var out []float64
	switch o := o.GetOptions().(type) {
	case *distribution.Distribution_BucketOptions_LinearBuckets:
		for i := range min(int(o.LinearBuckets.GetNumFiniteBuckets())+1, mostRanges) {
			out = append(out, o.LinearBuckets.GetOffset()+o.LinearBuckets.GetWidth()*float64(i))
		}
	case *distribution.Distribution_BucketOptions_ExponentialBuckets:
		for i := range min(int(o.ExponentialBuckets.GetNumFiniteBuckets())+1, mostRanges) {
			out = append(out, o.ExponentialBuckets.GetScale()*math.Pow(o.ExponentialBuckets.GetGrowthFactor(), float64(i)))
		}
	case *distribution.Distribution_BucketOptions_ExplicitBuckets:
		out = o.ExplicitBuckets.GetBounds()
	}
	return out
}

// percentile is the value that p percent are not above: interpolated between
// neighbours where all values are known, within its range where only the ranges
// are. The open ranges count as the value they begin or end with.
func (a *population) percentile(p float64) float64 {
	if len(a.values) > 0 {
		sorted := slices.Sorted(slices.Values(a.values))
		at := p / 100 * float64(len(sorted)-1)
		low := int(at)
		high := min(low+1, len(sorted)-1)
		return sorted[low] + (sorted[high]-sorted[low])*(at-float64(low))
	}
	if len(a.bounds) == 0 {
		return a.mean // the ranges are not told
	}
	rank, below := p/100*a.count, 0.0
	for i, n := range a.buckets {
		if n == 0 || below+n < rank {
			below += n
			continue
		}
		switch {
		case i == 0:
			return a.bounds[0]
		case i == len(a.bounds):
			return a.bounds[i-1]
		}
		return a.bounds[i-1] + (a.bounds[i]-a.bounds[i-1])*(rank-below)/n
	}
	return a.bounds[len(a.bounds)-1]
}
