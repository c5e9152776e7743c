package metricsapi

import (
	"math"
	"regexp"
	"strconv"
	"strings"
)

// parseQuantity reads a number as Kubernetes writes quantities: "5", "1.5k",
// "100m", "2Gi", "3e2".
func parseQuantity(text string) (v float64, ok bool) {
	m := regexp.MustCompile(`^([+-]?(?:\d+\.?\d*|\.\d+))([eE][+-]?\d+|[numkMGTPE]|[KMGTPE]i)?$`).FindStringSubmatch(text)
	if m == nil {
		return 0, false
	}
	digits, suffix := m[1], m[2]
	scale := 1.0
	switch {
	case len(suffix) > 1 && suffix[1] != 'i':
		digits += suffix
	case len(suffix) > 1:
		scale = math.Pow(1024, float64(1+strings.Index("KMGTPE", suffix[:1])))
	case suffix != "":
		scale = math.Pow(1000, float64(strings.Index("num_kMGTPE", suffix)-3))
	}
	v, err := strconv.ParseFloat(digits, 64)
	return v * scale, err == nil
}
