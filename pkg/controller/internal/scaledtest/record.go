package scaledtest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/weir-sh/weir/pkg/kube"
)

// Record is what happened in a test. Its zero value with a T is ready for use; calls
// may come from several goroutines, the rest is for the test's own.
type Record struct {
	T testing.TB

	Mu     sync.Mutex              // guards Calls and Writes while they are recorded, and what Fail reads
	Calls  []string                // what was asked of the API server, in order
	Writes []string                // those that write, and did not fail
	Events []string                // "Normal Reason: note"
	Fail   func(call string) error // why a call fails; nil lets everything pass
	Refs   map[string][]kube.Ref   // what owners depend on, once there is something
}

// Call records a call and says whether it fails.
func (r *Record) Call(write bool, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	r.Mu.Lock()
	defer r.Mu.Unlock()
	r.Calls = append(r.Calls, text)
	if r.Fail != nil {
		if err := r.Fail(text); err != nil {
			return err
		}
	}
	if write {
		r.Writes = append(r.Writes, text)
	}
	return nil
}

// Set implements scaled.References.
func (r *Record) Set(owner string, refs []kube.Ref) {
	if r.Refs == nil {
		r.Refs = map[string][]kube.Ref{}
	}
	r.Refs[owner] = refs
}

// Eventf implements events.EventRecorder, with the limits of the API server.
func (r *Record) Eventf(_, _ runtime.Object, kind, reason, action, note string, args ...any) {
	note = fmt.Sprintf(note, args...)
	if len(note) > 1024 || len(action) > 128 || len(reason) > 128 || action == "" || reason == "" || note == "" {
		r.T.Errorf("the API server refuses event %s %s with action %q and a note of %d bytes", kind, reason, action, len(note))
	}
	r.Events = append(r.Events, fmt.Sprintf("%s %s: %s", kind, reason, note))
}

// Forgets forgets what was asked and told until now.
func (r *Record) Forgets() { r.Calls, r.Writes, r.Events = nil, nil, nil }

// Does checks the writes since the last check, and forgets them and all other calls.
func (r *Record) Does(want ...string) {
	r.T.Helper()
	r.Same("writes", r.Writes, want)
	r.Calls, r.Writes = nil, nil
}

// Tells checks the events since the last check, and forgets them.
func (r *Record) Tells(want ...string) {
	r.T.Helper()
	r.Same("events", r.Events, want)
	r.Events = nil
}

// Same checks a list.
func (r *Record) Same(what string, got, want []string) {
	r.T.Helper()
	if !slices.Equal(got, want) {
		r.T.Errorf("%s:\n\t%s\nwant:\n\t%s", what, strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// Recorded records what goes through a client: reads from the API server and patches.
func (r *Record) Recorded() interceptor.Funcs {
	return interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if err := r.Call(false, "get %s %s", KindOf(o), key.Name); err != nil {
				return err
			}
			return c.Get(ctx, key, o, opts...)
		},
		List: func(ctx context.Context, c client.WithWatch, l client.ObjectList, opts ...client.ListOption) error {
			if err := r.Call(false, "list %s", KindOf(l)); err != nil {
				return err
			}
			return c.List(ctx, l, opts...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			if err := r.Call(true, "patch %s %s", KindOf(o), o.GetName()); err != nil {
				return err
			}
			return c.Patch(ctx, o, p, opts...)
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, _ string, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
			if err := r.Call(true, "status of %s %s", KindOf(o), o.GetName()); err != nil {
				return err
			}
			return c.Status().Patch(ctx, o, p, opts...)
		},
	}
}

// KindOf is the kind of an object, or of those in a list.
func KindOf(o any) string {
	name := fmt.Sprintf("%T", o)
	return strings.TrimSuffix(name[strings.LastIndexByte(name, '.')+1:], "List")
}

// Objects reads what triggers refer to from a cluster; reads of Secrets are recorded.
type Objects struct {
	kube.Reader

	Record *Record
}

// Secret implements kube.Objects.
func (o Objects) Secret(ctx context.Context, namespace, name string) (map[string][]byte, error) {
	if err := o.Record.Call(false, "get Secret %s", name); err != nil {
		return nil, err
	}
	s := new(corev1.Secret)
	err := o.Cache.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, s)
	return s.Data, err
}

// ConfigMap implements kube.Objects.
func (o Objects) ConfigMap(ctx context.Context, namespace, name string) (map[string]string, error) {
	m := new(corev1.ConfigMap)
	err := o.Cache.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, m)
	return m.Data, err
}

// ServiceAccount implements kube.Objects.
func (o Objects) ServiceAccount(ctx context.Context, namespace, name string) (*corev1.ServiceAccount, error) {
	a := new(corev1.ServiceAccount)
	return a, o.Cache.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, a)
}
