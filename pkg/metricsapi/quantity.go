package metricsapi

import (
	"errors"
	"math"

	"k8s.io/apimachinery/pkg/api/resource"
)

// maxValue is the largest value exposed. The autoscaler computes in thousandths
// in an int64 and takes anything that overflows, from about 9.22e15, for zero.
const maxValue = 9e15

// errNotFinite says that a reading is no number to scale by.
var errNotFinite = errors.New("the value is not a finite number")

// Quantity turns a value into what the autoscaler reads; it is the only place
// that does. The value is rounded to thousandths, half away from zero, and
// clamped to 0..9e15: the autoscaler takes a negative sum for an overflow and
// scales to the maximum. Equal rounded values give equal bytes. NaN and the
// infinities are errors, since nobody knows what they mean for a workload.
func Quantity(value float64) (resource.Quantity, error) {
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return resource.Quantity{}, errNotFinite
	}
	// Whole part and fraction go separate ways, since their product with 1000
	// is not exact for large values.
	whole, fraction := math.Modf(min(max(value, 0), maxValue))
	milli := int64(whole)*1000 + int64(math.Round(fraction*1000))
	return *resource.NewMilliQuantity(milli, resource.DecimalSI), nil
}
