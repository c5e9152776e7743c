package awsfake

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/smithy-go/encoding/cbor"
)

// Metric names a metric of CloudWatch. Dimensions are as "Name=Value", joined by
// ";" in the order of the request.
type Metric struct{ Account, Namespace, Name, Dimensions string }

// Point is a data point, as if aggregated over the period already.
type Point struct {
	At    time.Time
	Value float64
}

// Series are the data points of one result, newest first.
type Series struct {
	Points []Point
	Label  string // empty means one that tells the series of an expression apart
	Status string // "Complete" when empty
	Code   string // of a message about the result; empty means none
}

// MetricRequest is what a request of GetMetricData asked for.
type MetricRequest struct {
	Start, End time.Time
	ScanBy     string
	Queries    []MetricQuery
}

// MetricQuery is one query of it.
type MetricQuery struct {
	ID, Expression, Stat, Unit string
	Metric                     Metric
	Period                     int // seconds
	Returned                   bool
}

// SetMetric sets the data points of a metric.
func (s *Server) SetMetric(m Metric, series Series) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.series[m] = series
}

// SetExpression makes an expression valid, and sets its results.
func (s *Server) SetExpression(text string, results ...Series) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expressions[text] = results
}

// SetPage limits the data points of one page of GetMetricData.
func (s *Server) SetPage(points int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.page = points
}

// MetricRequests returns the requests of GetMetricData, in order, without those
// that are not understood.
func (s *Server) MetricRequests() []MetricRequest {
	var out []MetricRequest
	for _, r := range s.Requests(GetMetricData) {
		if in, _, ok := decode([]byte(r.Body)); ok {
			out = append(out, in)
		}
	}
	return out
}

// decode reads a request.
func decode(body []byte) (in MetricRequest, token string, ok bool) {
	v, err := cbor.Decode(body)
	m, isMap := v.(cbor.Map)
	if err != nil || !isMap {
		return in, "", false
	}
	in.Start, in.End, in.ScanBy = instant(m["StartTime"]), instant(m["EndTime"]), text(m["ScanBy"])
	queries, _ := m["MetricDataQueries"].(cbor.List)
	for _, e := range queries {
		q, _ := e.(cbor.Map)
		stat, _ := q["MetricStat"].(cbor.Map)
		metric, _ := stat["Metric"].(cbor.Map)
		dimensions, _ := metric["Dimensions"].(cbor.List)
		pairs := make([]string, len(dimensions))
		for i, d := range dimensions {
			d, _ := d.(cbor.Map)
			pairs[i] = text(d["Name"]) + "=" + text(d["Value"])
		}
		returned, _ := q["ReturnData"].(cbor.Bool)
		in.Queries = append(in.Queries, MetricQuery{
			ID: text(q["Id"]), Expression: text(q["Expression"]), Stat: text(stat["Stat"]), Unit: text(stat["Unit"]),
			Metric: Metric{text(q["AccountId"]), text(metric["Namespace"]), text(metric["MetricName"]), strings.Join(pairs, ";")},
			Period: max(whole(q["Period"]), whole(stat["Period"])), Returned: bool(returned),
		})
	}
	return in, text(m["NextToken"]), true
}

func text(v cbor.Value) string {
	s, _ := v.(cbor.String)
	return string(s)
}

func whole(v cbor.Value) int {
	n, _ := v.(cbor.Uint)
	return int(n)
}

func instant(v cbor.Value) time.Time {
	tag, _ := v.(*cbor.Tag)
	if tag == nil {
		return time.Time{}
	}
	switch n := tag.Value.(type) {
	case cbor.Float64:
		return time.UnixMilli(int64(float64(n) * 1000)).UTC()
	case cbor.Uint:
		return time.Unix(int64(n), 0).UTC()
	}
	return time.Time{}
}

// maxQueries is how many queries a request of GetMetricData may have.
const maxQueries = 500

// metricData answers GetMetricData. What is wrong with one query fails the whole
// request, as it does in AWS.
func (s *Server) metricData(body []byte) (reply, *Fault) {
	in, token, ok := decode(body)
	switch {
	case !ok:
		return nil, &Fault{Code: "SerializationException", Message: "The body is not understood."}
	case len(in.Queries) == 0 || len(in.Queries) > maxQueries:
		return nil, &Fault{Code: "ValidationError", Message: "The collection MetricDataQueries must have a size between 1 and 500."}
	case !in.Start.Before(in.End):
		return nil, &Fault{Code: "ValidationError", Message: "The parameter StartTime must be less than the parameter EndTime."}
	}
	results, fault := s.results(in)
	if fault != nil {
		return nil, fault
	}
	from := 0
	if token != "" {
		n, err := strconv.Atoi(token)
		if err != nil {
			return nil, &Fault{Code: "InvalidNextToken", Message: "The next token is invalid."}
		}
		from = n
	}
	return paged(results, from, cmp.Or(s.page, 100_800)), nil
}

// result is one of the answer.
type result struct {
	id, label string
	Series
}

// results finds the data points. The caller holds s.mu.
func (s *Server) results(in MetricRequest) ([]result, *Fault) {
	var out []result
	id, stat := regexp.MustCompile(`^[a-z][a-zA-Z0-9_]*$`), regexp.MustCompile(`^(SampleCount|Average|Sum|Minimum|Maximum|IQM|(p|tc|tm|ts|wm)\d{1,2}(\.\d+)?)$`)
	seen, insights := map[string]bool{}, 0
	for _, q := range in.Queries {
		if !id.MatchString(q.ID) || seen[q.ID] {
			return nil, &Fault{Code: "ValidationError", Message: "The values for parameter id in MetricDataQueries must be unique and valid."}
		}
		seen[q.ID] = true
		if q.Expression == "" {
			if !stat.MatchString(q.Stat) {
				return nil, &Fault{Code: "ValidationError", Message: "The value " + q.Stat + " for parameter Stat is not supported."}
			}
			out = append(out, result{q.ID, q.Metric.Name, within(s.series[q.Metric], in)})
			continue
		}
		if strings.HasPrefix(strings.ToUpper(q.Expression), "SELECT") {
			insights++
		}
		all, known := s.expressions[q.Expression]
		if !known || insights > 1 {
			return nil, &Fault{Code: "ValidationError", Message: "Error in expression '" + q.ID + "': " + q.Expression}
		}
		for i, series := range all {
			out = append(out, result{q.ID, "series " + strconv.Itoa(i), within(series, in)})
		}
	}
	return out, nil
}

// within keeps the points of the request's time: start included, end not.
func within(series Series, in MetricRequest) Series {
	series.Points = slices.DeleteFunc(slices.Clone(series.Points), func(p Point) bool { return p.At.Before(in.Start) || !p.At.Before(in.End) })
	return series
}

// paged encodes the data points from one on, as many as a page has. Results that
// go on have the status PartialData.
func paged(results []result, from, limit int) cbor.Map {
	list, at, to := cbor.List{}, 0, from+limit
	for _, r := range results {
		first, last := max(from, at), min(to, at+len(r.Points))
		begins := at
		at += len(r.Points)
		if len(r.Points) > 0 && first >= last || len(r.Points) == 0 && from > 0 {
			continue
		}
		values, stamps := cbor.List{}, cbor.List{}
		for i := first; i < last; i++ {
			p := r.Points[i-begins]
			values = append(values, cbor.Float64(p.Value))
			stamps = append(stamps, &cbor.Tag{ID: 1, Value: cbor.Float64(float64(p.At.Unix()))})
		}
		status, messages := cmp.Or(r.Status, "Complete"), cbor.List{}
		if last < at {
			status = "PartialData"
		}
		if r.Code != "" {
			messages = append(messages, cbor.Map{"Code": cbor.String(r.Code), "Value": cbor.String("About " + r.id)})
		}
		list = append(list, cbor.Map{
			"Id": cbor.String(r.id), "Label": cbor.String(cmp.Or(r.Label, r.label)), "Values": values, "Timestamps": stamps,
			"StatusCode": cbor.String(status), "Messages": messages,
		})
	}
	out := cbor.Map{"MetricDataResults": list}
	if at > to {
		out["NextToken"] = cbor.String(strconv.Itoa(to))
	}
	return out
}
