package serve

import (
	"context"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	toolscache "k8s.io/client-go/tools/cache"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
)

// TestAnInformerAsksForSelectedObjectsOnly records what an informer lists and
// watches.
func TestAnInformerAsksForSelectedObjectsOnly(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 16)
	from := &toolscache.ListWatch{
		ListWithContextFunc: func(_ context.Context, o metav1.ListOptions) (runtime.Object, error) {
			asked <- "list " + o.LabelSelector
			return &v1alpha1.ScaledObjectList{}, nil
		},
		WatchFuncWithContext: func(_ context.Context, o metav1.ListOptions) (watch.Interface, error) {
			asked <- "watch " + o.LabelSelector
			return watch.NewFake(), nil
		},
	}
	selector, err := labels.Parse("team=shop")
	if err != nil {
		t.Fatal(err)
	}
	e := environment{watched: selector}
	informer := e.informer(from, &v1alpha1.ScaledObject{}, 0, nil)
	stop := make(chan struct{})
	ended := make(chan struct{})
	go func() { defer close(ended); informer.Run(stop) }()
	select { // a watch that begins with a list where the API server offers that
	case got := <-asked:
		if got != "list team=shop" && got != "watch team=shop" {
			t.Errorf("asked for %q", got)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("nothing is asked")
	}
	close(stop)
	<-ended
	for len(asked) > 0 {
		<-asked
	}
	s := selecting{toolscache.ToListerWatcherWithContext(from), "x=y"}
	if _, err := s.List(metav1.ListOptions{}); err != nil || <-asked != "list x=y" {
		t.Errorf("listing by hand: %v", err)
	}
	if _, err := s.Watch(metav1.ListOptions{}); err != nil || <-asked != "watch x=y" {
		t.Errorf("watching by hand: %v", err)
	}
}
