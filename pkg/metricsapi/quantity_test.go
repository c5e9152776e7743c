package metricsapi_test

import (
	"math"
	"testing"

	"github.com/weir-sh/weir/pkg/metricsapi"
)

func TestQuantity(t *testing.T) {
	for _, test := range []struct {
		value float64
		want  string
	}{
		{0, "0"},
		{math.Copysign(0, -1), "0"},
		{10, "10"},
		{1000, "1k"},
		{123456, "123456"},
		{1.5, "1500m"},
		{0.5, "500m"},
		{0.001, "1m"},
		{0.0005, "1m"},
		{0.00049, "0"},
		{0.1 + 0.2, "300m"},
		{0.3, "300m"},
		{2.9996, "3"},
		{-1, "0"},
		{-1e300, "0"},
		{1<<53 - 1, "9P"},
		{8999999999999999, "8999999999999999"},
		{5000000000000001, "5000000000000001"},
		{4503599627370495.5, "4503599627370495500m"},
		{9e15, "9P"},
		{9e15 + 2, "9P"},
		{math.MaxFloat64, "9P"},
	} {
		got, err := metricsapi.Quantity(test.value)
		if err != nil || got.String() != test.want {
			t.Errorf("%v: got %s, error %v; want %s", test.value, got.String(), err, test.want)
		}
		// The autoscaler's own arithmetic must see the number, not an overflow.
		want := int64(math.Round(min(max(test.value, 0), 9e15) * 1000))
		if milli := got.MilliValue(); math.Abs(float64(milli-want)) > 1024 || milli < 0 {
			t.Errorf("%v: %d thousandths, want %d", test.value, milli, want)
		}
	}
	for _, value := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		if got, err := metricsapi.Quantity(value); err == nil || err.Error() != "the value is not a finite number" {
			t.Errorf("%v: got %s, error %v", value, got.String(), err)
		}
	}
}
