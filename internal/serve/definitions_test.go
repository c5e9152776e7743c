package serve

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// discovered are the answers of an API server, one after the other; the last is repeated.
type discovered []any

func (a *discovered) ServerResourcesForGroupVersion(groupVersion string) (*metav1.APIResourceList, error) {
	answer := (*a)[0]
	if len(*a) > 1 {
		*a = (*a)[1:]
	}
	if err, ok := answer.(error); ok {
		return nil, err
	}
	list := &metav1.APIResourceList{GroupVersion: groupVersion}
	for kind := range strings.FieldsSeq(answer.(string)) {
		list.APIResources = append(list.APIResources, metav1.APIResource{Kind: kind})
	}
	return list, nil
}

func TestAStartWaitsForTheDefinitions(t *testing.T) {
	t.Parallel()
	const all = "ScaledObject ScaledJob TriggerAuthentication ClusterTriggerAuthentication CloudEventSource"
	none := apierrors.NewNotFound(schema.GroupResource{}, "")
	for name, c := range map[string]struct {
		answers discovered
		took    time.Duration
		logged  string // a part; empty for nothing
		err     string
	}{
		"they are there": {answers: discovered{all}},
		"they were just applied": {
			answers: discovered{none, "ScaledObject", all}, took: time.Second,
			logged: `msg="waiting for CustomResourceDefinitions to be served" missing="ScaledObject, ScaledJob, TriggerAuthentication, ClusterTriggerAuthentication"`,
		},
		"one never comes": {
			answers: discovered{strings.Replace(all, "ScaledJob ", "", 1)}, took: definitionsTimeout, logged: "missing=ScaledJob",
			err: "waiting for ScaledJob of keda.sh/v1alpha1: the API server does not serve them; apply deploy/crds",
		},
		"the API server starts": {answers: discovered{errors.New("connection refused"), all}, took: 500 * time.Millisecond, logged: `msg="waiting for the API server" error="connection refused"`},
		"the API server is gone": {
			answers: discovered{errors.New("connection refused")}, took: definitionsTimeout, logged: "waiting",
			err: "asking the API server for the kinds of keda.sh/v1alpha1: connection refused",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var out bytes.Buffer
				began := time.Now()
				err := awaitDefinitions(t.Context(), &c.answers, slog.New(slog.NewTextHandler(&out, nil)))
				if (err == nil) != (c.err == "") || err != nil && err.Error() != c.err {
					t.Errorf("error %v, want %s", err, c.err)
				}
				if took := time.Since(began); took != c.took {
					t.Errorf("it took %v, want %v", took, c.took)
				}
				if got := out.String(); !strings.Contains(got, c.logged) || strings.Count(got, "\n") != min(1, len(c.logged)) {
					t.Errorf("logged %s", got)
				}
			})
		})
	}
}

func TestAStartThatWaitsCanBeEnded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		began := time.Now()
		if err := awaitDefinitions(ctx, &discovered{""}, slog.New(slog.DiscardHandler)); err != nil || time.Since(began) != 3*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}
