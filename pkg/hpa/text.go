package hpa

import (
	"fmt"
	"math"
	"strconv"
)

// usage is Usage as people write it.
func (p Proposal) usage() string { return p.amount(p.Usage) }

// target is the target as people write it.
func (p Proposal) target() string { return p.amount(p.Metric.Target) }

func (p Proposal) amount(v int64) string {
	if p.Metric.Type == Utilization {
		return strconv.FormatInt(v, 10) + "%"
	}
	return thousandths(v)
}

// thousandths writes v/1000 without a loss: 47500 is 47.5.
func thousandths(v int64) string {
	sign, u := "", uint64(v)
	if v < 0 {
		sign, u = "-", -u
	}
	text := sign + strconv.FormatUint(u/1000, 10)
	if u %= 1000; u == 0 {
		return text
	}
	fraction := fmt.Sprintf(".%03d", u)
	for fraction[len(fraction)-1] == '0' {
		fraction = fraction[:len(fraction)-1]
	}
	return text + fraction
}

// ratio writes a ratio with three decimals at most.
func ratio(x float64) string {
	if math.Abs(x) >= 1e15 {
		return strconv.FormatFloat(x, 'g', 4, 64)
	}
	return strconv.FormatFloat(math.Round(x*1000)/1000, 'f', -1, 64)
}

// text says where a ratio is that calls for no scaling.
func (t Tolerance) text() string {
	return fmt.Sprintf("within %s to %s", ratio(1-t.Down), ratio(1+t.Up))
}

func stays(replicas int32) string { return fmt.Sprintf("stays at %d", replicas) }

// count writes a number with its noun.
func count[N int | int32](n N, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
