package metricsapi

import (
	"bytes"
	"errors"
	"strconv"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/tidwall/gjson"
	"go.yaml.in/yaml/v3"
)

// document is an answer. Find returns the number at a location; the error is one
// of errNothing, errNoNumber and errSelector.
type document interface {
	find(location string) (float64, error)
}

// parse reads a body. The error says nothing of what the body holds.
func parse(format string, body []byte) (document, error) {
	switch format {
	case inXML:
		return parseXML(body)
	case inYAML:
		var root any
		if err := yaml.Unmarshal(body, &root); err != nil {
			return nil, errors.New("the answer is not YAML")
		}
		return tree{root: root}, nil
	case inPrometheus:
		return parseMetrics(body)
	}
	return jsonText(body), nil
}

// jsonText is JSON, or lines of JSON, searched anew for each location.
type jsonText []byte

// find implements document.
func (j jsonText) find(location string) (float64, error) {
	switch r := gjson.GetBytes(j, location); {
	case r.Type == gjson.Number:
		return r.Num, nil
	case r.Type == gjson.String:
		return number(r.Str)
	case r.Exists():
		return 0, errNoNumber
	case !gjson.ValidBytes(j):
		return 0, errNotJSON
	}
	return 0, errNothing
}

var errNotJSON = errors.New("the answer is not JSON")

// number reads text.
func number(text string) (float64, error) {
	v, ok := parseQuantity(text)
	if !ok {
		return 0, errNoNumber
	}
	return v, nil
}

// tree is a document of nested maps and lists.
type tree struct {
	root any
	// fold makes an element that is there once count as a list of one: XML does not
	// tell them apart.
	fold bool
}

// find implements document.
func (t tree) find(location string) (float64, error) {
	at := t.root
	for key := range strings.SplitSeq(location, ".") {
		next, ok := step(at, key)
		if !ok && t.fold && key == "0" && at != nil {
			next, ok = at, true
		}
		if !ok {
			return 0, errNothing
		}
		at = next
	}
	return scalar(at)
}

// step goes one key down.
func step(at any, key string) (next any, ok bool) {
	switch v := at.(type) {
	case map[string]any:
		next, ok = v[key]
	case map[any]any: // YAML with a key that is no text
		if next, ok = v[key]; !ok {
			if n, err := strconv.Atoi(key); err == nil {
				next, ok = v[n]
			}
		}
	case []any:
		if i, err := strconv.Atoi(key); err == nil && i >= 0 && i < len(v) {
			return v[i], true
		}
	}
	return next, ok
}

func scalar(at any) (float64, error) {
	switch v := at.(type) {
	case int:
		return float64(v), nil
	case int64:
		return float64(v), nil
	case uint64:
		return float64(v), nil
	case float64:
		return v, nil
	case string:
		return number(v)
	case map[string]any:
		if text, ok := v[textKey].(string); ok {
			return number(text)
		}
	}
	return 0, errNoNumber
}

// metrics are those of a page, by family.
type metrics map[string]*dto.MetricFamily

func parseMetrics(body []byte) (document, error) {
	body = append(bytes.ReplaceAll(body, []byte("\r\n"), []byte("\n")), '\n')
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the answer is not a page of metrics")
	}
	return metrics(families), nil
}

// find implements document. It takes the first sample that matches; those of
// histograms and summaries are no single numbers.
func (m metrics) find(location string) (float64, error) {
	sel, ok := parseSelector(location)
	if !ok {
		return 0, errSelector
	}
	for _, s := range m[sel.name].GetMetric() {
		if !sel.matches(s.GetLabel()) {
			continue
		}
		switch {
		case s.GetUntyped() != nil:
			return s.GetUntyped().GetValue(), nil
		case s.GetCounter() != nil:
			return s.GetCounter().GetValue(), nil
		case s.GetGauge() != nil:
			return s.GetGauge().GetValue(), nil
		}
	}
	return 0, errNothing
}
