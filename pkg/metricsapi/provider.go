package metricsapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/metrics/pkg/apis/external_metrics"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/provider"
)

// objectLabel is the key by which a selector names the ScaledObject.
const objectLabel = "scaledobject.keda.sh/name"

// placeholder is the one resource that discovery shows; metrics are never listed.
const placeholder = "externalmetrics"

// readingsProvider answers the adapter library from Readings.
type readingsProvider struct{ readings Readings }

// ListAllExternalMetrics returns what discovery shows.
func (readingsProvider) ListAllExternalMetrics() []provider.ExternalMetricInfo {
	return []provider.ExternalMetricInfo{{Metric: placeholder}}
}

// GetExternalMetric answers one read. Every error is an API status: 400 for a
// selector we do not understand, 404 for what does not exist, 500 for a value
// that is not known; the autoscaler keeps its replicas after each of them.
func (p readingsProvider) GetExternalMetric(
	ctx context.Context, namespace string, selector labels.Selector, info provider.ExternalMetricInfo,
) (*external_metrics.ExternalMetricValueList, error) {
	object, err := selectedObject(selector)
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	metric, err := p.readings.ExternalMetric(ctx, namespace, object, strings.ToLower(info.Metric))
	if err != nil {
		return nil, status(err)
	}
	value, err := Quantity(metric.Value)
	if err != nil {
		return nil, status(fmt.Errorf("metric %q of ScaledObject %q: %w", info.Metric, namespace+"/"+object, err))
	}
	return &external_metrics.ExternalMetricValueList{Items: []external_metrics.ExternalMetricValue{{
		MetricName: info.Metric,
		Timestamp:  metav1.NewTime(metric.At.UTC()), // encoded in whole seconds
		Value:      value,
	}}}, nil
}

// selectedObject returns the ScaledObject that selector names. Requirements on
// other labels are allowed and mean nothing, but each has to be key=value.
func selectedObject(selector labels.Selector) (string, error) {
	requirements, selectable := selector.Requirements()
	if !selectable {
		return "", errors.New("the label selector selects nothing")
	}
	object := ""
	for _, r := range requirements {
		if r.Operator() != selection.Equals {
			return "", fmt.Errorf("the label selector uses %q on %s: write it as key=value", r.Operator(), r.Key())
		}
		if r.Key() == objectLabel {
			object = r.ValuesUnsorted()[0]
		}
	}
	if object == "" {
		return "", errors.New("the label selector does not name the ScaledObject: add " + objectLabel + "=NAME")
	}
	return object, nil
}

// status turns an error of Readings into an API status with the same text. It
// carries no time to retry after, which clients would spend sleeping on it.
func status(err error) error {
	code, reason := int32(http.StatusInternalServerError), metav1.StatusReasonInternalError
	if _, ok := errors.AsType[*NotFoundError](err); ok {
		code, reason = http.StatusNotFound, metav1.StatusReasonNotFound
	}
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status:  metav1.StatusFailure,
		Code:    code,
		Reason:  reason,
		Message: err.Error(),
	}}
}
