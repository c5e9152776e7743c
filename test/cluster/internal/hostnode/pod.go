package hostnode

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
)

// worker is the life of one pod on the node.
type worker struct {
	node *Node
	pod  *v1.Pod // as first seen, with its address; never changed
	dir  string  // the working directory of its processes

	stop, kill             context.Context // ended: end the processes; now
	cancelStop, cancelKill context.CancelFunc
	deleted                chan struct{} // closed when the pod's deletion was asked for
	changed                chan struct{} // holds one: the status is to be reported

	lastPatched *v1.PodStatus // what the API server was told last; used by run only

	mu    sync.Mutex    // guards what follows
	grace time.Duration // negative until deletion is asked for
	inits []v1.ContainerStatus
	mains []v1.ContainerStatus
	final bool // deletion was asked for and all has ended
}

func newWorker(ctx context.Context, n *Node, pod *v1.Pod) *worker {
	pod = pod.DeepCopy()
	w := &worker{
		node:    n,
		pod:     pod,
		dir:     filepath.Join(n.opts.Dir, string(pod.UID)),
		deleted: make(chan struct{}),
		changed: make(chan struct{}, 1),
		grace:   -1,
	}
	w.stop, w.cancelStop = context.WithCancel(ctx)
	w.kill, w.cancelKill = context.WithCancel(context.WithoutCancel(ctx))
	w.inits = waitingStatuses(pod.Spec.InitContainers, reasonInitializing)
	reason := reasonCreating
	if len(w.inits) > 0 {
		reason = reasonInitializing
	}
	w.mains = waitingStatuses(pod.Spec.Containers, reason)
	return w
}

func waitingStatuses(containers []v1.Container, reason string) []v1.ContainerStatus {
	var all []v1.ContainerStatus
	for _, c := range containers {
		all = append(all, v1.ContainerStatus{
			Name:    c.Name,
			Image:   c.Image,
			Started: new(false),
			State:   v1.ContainerState{Waiting: &v1.ContainerStateWaiting{Reason: reason}},
		})
	}
	return all
}

// run lives as long as the pod object or, when ctx ends, the processes.
func (w *worker) run(ctx context.Context) {
	defer w.cancelKill()
	defer w.cancelStop()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.runContainers()
	}()
	w.notify()
	for deleted, ended := w.deleted, ended; deleted != nil || ended != nil; {
		select {
		case <-w.changed:
			w.report(ctx)
		case <-deleted:
			deleted = nil
		case <-ended:
			ended = nil
		case <-ctx.Done():
			<-ended
			return
		}
	}
	w.mu.Lock()
	w.final = true
	w.mu.Unlock()
	w.report(ctx)
	w.remove(ctx)
}

// delete asks the processes to end and kills them after the grace. A later
// call can only shorten it.
func (w *worker) delete(grace time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	first := w.grace < 0
	if !first && grace >= w.grace {
		return
	}
	w.grace = grace
	if first {
		close(w.deleted)
		w.cancelStop()
	}
	if grace == 0 {
		w.cancelKill()
		return
	}
	time.AfterFunc(grace, w.cancelKill)
}

// runContainers runs the init containers one by one, then the others together.
func (w *worker) runContainers() {
	if err := os.MkdirAll(w.dir, 0o700); err != nil {
		w.node.opts.Report(fmt.Errorf("making the working directory of pod %s/%s: %w", w.pod.Namespace, w.pod.Name, err))
	}
	for i := range w.pod.Spec.InitContainers {
		policy := w.pod.Spec.RestartPolicy
		if policy == v1.RestartPolicyAlways {
			policy = v1.RestartPolicyOnFailure
		}
		w.container(&w.pod.Spec.InitContainers[i], policy, &w.inits[i]).live(w.stop, w.kill)
		w.mu.Lock()
		t := w.inits[i].State.Terminated
		w.mu.Unlock()
		if t == nil || t.ExitCode != 0 {
			return
		}
	}
	var all sync.WaitGroup
	for i := range w.pod.Spec.Containers {
		c := w.container(&w.pod.Spec.Containers[i], w.pod.Spec.RestartPolicy, &w.mains[i])
		all.Go(func() { c.live(w.stop, w.kill) })
	}
	all.Wait()
}

// container joins a container's specification to its life.
func (w *worker) container(spec *v1.Container, policy v1.RestartPolicy, status *v1.ContainerStatus) *container {
	l := &launch{worker: w, spec: spec}
	return &container{
		label:   fmt.Sprintf("container=%s pod=%s_%s(%s)", spec.Name, w.pod.Name, w.pod.Namespace, w.pod.UID),
		policy:  policy,
		start:   l.start,
		message: l.message,
		probe: func(ctx context.Context, set func(bool)) {
			ask := func(ctx context.Context) error { return check(ctx, spec, l.dir, l.vars) }
			probeReadiness(ctx, spec.ReadinessProbe, ask, set)
		},
		update: func(change func(*v1.ContainerStatus)) {
			w.mu.Lock()
			change(status)
			w.mu.Unlock()
			w.notify()
		},
		event: func(kind, reason, message string) {
			w.node.events.Event(w.pod, kind, reason, message)
		},
	}
}

func (w *worker) notify() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// report tells the API server what changed since the last report. It patches
// only its own fields: the scheduler and controllers write conditions, too.
func (w *worker) report(ctx context.Context) {
	w.mu.Lock()
	next := podStatus(w.pod, slices.Clone(w.inits), slices.Clone(w.mains), w.final, w.lastPatched, time.Now())
	w.mu.Unlock()
	if equality.Semantic.DeepEqual(next, w.lastPatched) {
		return
	}
	patch, err := statusPatch(w.pod.UID, w.lastPatched, next)
	if err != nil {
		w.node.opts.Report(fmt.Errorf("computing the status of pod %s/%s: %w", w.pod.Namespace, w.pod.Name, err))
		return
	}
	if w.persist(ctx, "reporting the status", func() error {
		_, err := w.node.opts.Client.CoreV1().Pods(w.pod.Namespace).Patch(ctx, w.pod.Name,
			types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
		return err
	}) {
		w.lastPatched = next
	}
}

// statusPatch returns the change between two statuses, for the pod with the UID only.
func statusPatch(uid types.UID, old, next *v1.PodStatus) ([]byte, error) {
	before, after := v1.Pod{}, v1.Pod{Status: *next}
	if old != nil {
		before.Status = *old
	}
	after.UID = uid // absent before, so always in the patch
	a, err := json.Marshal(before)
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(after)
	if err != nil {
		return nil, err
	}
	return strategicpatch.CreateTwoWayMergePatch(a, b, v1.Pod{})
}

// remove deletes the pod object, as the kubelet does when all has ended, and
// the working directory.
func (w *worker) remove(ctx context.Context) {
	w.persist(ctx, "deleting", func() error {
		return w.node.opts.Client.CoreV1().Pods(w.pod.Namespace).Delete(ctx, w.pod.Name, metav1.DeleteOptions{
			GracePeriodSeconds: new(int64(0)),
			Preconditions:      &metav1.Preconditions{UID: &w.pod.UID},
		})
	})
	if err := os.RemoveAll(w.dir); err != nil {
		w.node.opts.Report(fmt.Errorf("removing the working directory of pod %s/%s: %w", w.pod.Namespace, w.pod.Name, err))
	}
}

// persist repeats a request until it succeeds, ctx ends, or the pod is
// another one or gone. It returns whether the request succeeded.
func (w *worker) persist(ctx context.Context, what string, request func() error) bool {
	for {
		err := request()
		switch {
		case err == nil:
			return true
		case apierrors.IsNotFound(err), apierrors.IsConflict(err), ctx.Err() != nil:
			return false
		}
		w.node.opts.Report(fmt.Errorf("%s of pod %s/%s: %w", what, w.pod.Namespace, w.pod.Name, err))
		if apierrors.IsInvalid(err) || !sleep(ctx, time.Second) {
			return false
		}
	}
}

// baseVars is what every process has; a container's own variables win.
func (w *worker) baseVars() map[string]string {
	return map[string]string{
		"PATH":     w.node.opts.Path,
		"HOSTNAME": w.pod.Name,
		"HOME":     w.dir,
		"TMPDIR":   w.dir,
	}
}
