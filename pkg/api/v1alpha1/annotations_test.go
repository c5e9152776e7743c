package v1alpha1_test

import (
	"reflect"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
)

func annotated(annotations map[string]string) *v1alpha1.ScaledObject {
	return &v1alpha1.ScaledObject{ObjectMeta: metav1.ObjectMeta{Annotations: annotations}}
}

func TestAnythingButAClearNoIsTrue(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]bool{
		"0": false, "f": false, "F": false, "false": false, "FALSE": false, "False": false,
		"1": true, "t": true, "true": true, "TRUE": true,
		"": true, "no": true, "off": true, "yes": true, " false": true, "fAlse": true,
	} {
		if got := v1alpha1.LenientBool(value); got != want {
			t.Errorf("LenientBool(%q) = %t, want %t", value, got, want)
		}
		for key, read := range map[string]func(*v1alpha1.ScaledObject) bool{
			v1alpha1.AnnotationPaused:          (*v1alpha1.ScaledObject).PauseRequested,
			v1alpha1.AnnotationPausedScaleIn:   (*v1alpha1.ScaledObject).ScaleInPaused,
			v1alpha1.AnnotationPausedScaleOut:  (*v1alpha1.ScaledObject).ScaleOutPaused,
			v1alpha1.AnnotationForceActivation: (*v1alpha1.ScaledObject).ActivationForced,
		} {
			if got := read(annotated(map[string]string{key: value})); got != want {
				t.Errorf("%s=%q is read as %t, want %t", key, value, got, want)
			}
			if read(annotated(nil)) {
				t.Errorf("%s is read as true when absent", key)
			}
		}
	}
}

func TestPause(t *testing.T) {
	t.Parallel()
	const bad = "annotation autoscaling.keda.sh/paused-replicas is no replica count; set a whole number from 0 to 2147483647, or remove the annotation"
	for _, tc := range []struct {
		name        string
		annotations map[string]string
		paused      bool
		replicas    *int32
		wantErr     string
	}{
		{"nothing", nil, false, nil, ""},
		{"paused", map[string]string{v1alpha1.AnnotationPaused: "true"}, true, nil, ""},
		{"not paused", map[string]string{v1alpha1.AnnotationPaused: "false"}, false, nil, ""},
		{"a count", map[string]string{v1alpha1.AnnotationPausedReplicas: "4"}, true, new(int32(4)), ""},
		{"a count of zero", map[string]string{v1alpha1.AnnotationPausedReplicas: "0"}, true, new(int32(0)), ""},
		{"the highest count", map[string]string{v1alpha1.AnnotationPausedReplicas: "2147483647"}, true, new(int32(2147483647)), ""},
		{
			"a count wins over not paused",
			map[string]string{v1alpha1.AnnotationPaused: "false", v1alpha1.AnnotationPausedReplicas: "1"},
			true, new(int32(1)), "",
		},
		{"an empty count", map[string]string{v1alpha1.AnnotationPausedReplicas: ""}, true, nil, bad},
		{"no number", map[string]string{v1alpha1.AnnotationPausedReplicas: "four"}, true, nil, bad},
		{"a fraction", map[string]string{v1alpha1.AnnotationPausedReplicas: "1.5"}, true, nil, bad},
		{"a negative count", map[string]string{v1alpha1.AnnotationPausedReplicas: "-1"}, true, nil, bad},
		{"a count too high", map[string]string{v1alpha1.AnnotationPausedReplicas: "2147483648"}, true, nil, bad},
		{"one direction only", map[string]string{v1alpha1.AnnotationPausedScaleIn: "true"}, false, nil, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			o := annotated(tc.annotations)
			if got := o.PauseRequested(); got != tc.paused {
				t.Errorf("paused %t, want %t", got, tc.paused)
			}
			replicas, err := o.PausedReplicas()
			if text(err) != tc.wantErr {
				t.Errorf("error %q, want %q", text(err), tc.wantErr)
			}
			if !reflect.DeepEqual(replicas, tc.replicas) {
				t.Errorf("replicas %v, want %v", replicas, tc.replicas)
			}
		})
	}
}

func TestAScaledJobIsPausedByOneAnnotationOnly(t *testing.T) {
	t.Parallel()
	job := func(key, value string) *v1alpha1.ScaledJob {
		return &v1alpha1.ScaledJob{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{key: value}}}
	}
	if !job(v1alpha1.AnnotationPaused, "").PauseRequested() {
		t.Error("paused does not pause")
	}
	if job(v1alpha1.AnnotationPaused, "false").PauseRequested() {
		t.Error("paused: false pauses")
	}
	if job(v1alpha1.AnnotationPausedReplicas, "1").PauseRequested() {
		t.Error("paused-replicas pauses")
	}
}

func TestOwnershipIsTransferredOnlyWhenAskedFor(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]bool{"true": true, "True": false, "1": false, "": false, "false": false} {
		if got := annotated(map[string]string{v1alpha1.AnnotationTransferHPAOwnership: value}).HPATransferAllowed(); got != want {
			t.Errorf("%q allows %t, want %t", value, got, want)
		}
	}
	if annotated(nil).HPATransferAllowed() {
		t.Error("allowed without annotation")
	}
}

func TestExcludedLabelsAreNotTrimmed(t *testing.T) {
	t.Parallel()
	for value, want := range map[string][]string{
		"":      nil,
		"a":     {"a"},
		"a,b/c": {"a", "b/c"},
		"a, b,": {"a", " b", ""},
	} {
		if got := annotated(map[string]string{v1alpha1.AnnotationHPAExcludedLabels: value}).HPAExcludedLabels(); !reflect.DeepEqual(got, want) {
			t.Errorf("%q on a ScaledObject: %q, want %q", value, got, want)
		}
		job := &v1alpha1.ScaledJob{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{v1alpha1.AnnotationJobExcludedLabels: value}}}
		if got := job.JobExcludedLabels(); !reflect.DeepEqual(got, want) {
			t.Errorf("%q on a ScaledJob: %q, want %q", value, got, want)
		}
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
