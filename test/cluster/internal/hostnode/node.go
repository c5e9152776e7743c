// Package hostnode is a node of a Kubernetes cluster whose pods are local
// processes: a kubelet without containers.
//
// A container is its command and args, started on this machine with the
// environment that Kubernetes would give it, in a process group and a working
// directory of its pod's own. Init containers, restarts with back-off, exit
// codes, graceful termination, readiness probes and the pod's phase and
// conditions follow the kubelet. What a process cannot have is refused in
// the container's status (volumes) or told by a Warning event (see warnings).
// All pods share the machine's loopback address.
package hostnode

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"

	"github.com/weir-sh/weir/test/cluster/internal/process"
)

const (
	// TypeLabel tells the kinds of nodes apart, for node selectors.
	TypeLabel = "weir.sh/node"
	// NodeType is the label's value on nodes of this package.
	NodeType = "host"

	// address is that of the node and of all its pods.
	address = "127.0.0.1"

	// The kubelet's own: a lease renewed every 10 s holds for 40 s.
	leaseSeconds  = 40
	renewInterval = 10 * time.Second
)

// Options say what the node is called and what it may use. All are required.
type Options struct {
	Client   kubernetes.Interface
	Launcher *process.Launcher
	Name     string
	// Dir holds the working directories of pods, LogDir a log for each
	// container, NAMESPACE_POD_CONTAINER.log. Both must exist.
	Dir, LogDir string
	// Path is the processes' PATH.
	Path string
	// Report is told what went wrong beyond any pod.
	Report func(error)
}

// Node is a node. Make it with New.
type Node struct {
	opts    Options
	store   store
	events  record.EventRecorder
	workers map[types.UID]*worker // used by the watch's goroutine only
	running sync.WaitGroup
}

// New makes a node that Run runs.
func New(opts Options) *Node {
	return &Node{opts: opts, store: apiStore{opts.Client}, workers: map[types.UID]*worker{}}
}

// Run registers the node and runs its pods until ctx ends; then it asks their
// processes to end and waits for them. It does not kill them: closing the
// launcher does. The error is that of the registration.
func (n *Node) Run(ctx context.Context) error {
	if err := n.register(ctx); err != nil {
		return err
	}
	broadcaster := record.NewBroadcaster(record.WithContext(ctx))
	defer broadcaster.Shutdown()
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: n.opts.Client.CoreV1().Events("")})
	n.events = broadcaster.NewRecorder(scheme.Scheme, v1.EventSource{Component: "hostnode", Host: n.opts.Name})
	n.running.Go(func() { n.renew(ctx) })
	n.watch(ctx)
	n.running.Wait()
	return nil
}

// Labels returns the labels of a node.
func Labels(name, nodeType string) map[string]string {
	return map[string]string{
		TypeLabel:          nodeType,
		v1.LabelHostname:   name,
		v1.LabelOSStable:   runtime.GOOS,
		v1.LabelArchStable: runtime.GOARCH,
	}
}

// Room returns the resources of a node: more than tests will ask for, as
// requests are not reserved and limits not enforced.
func Room() v1.ResourceList {
	return v1.ResourceList{
		v1.ResourceCPU:              resource.MustParse("1000"),
		v1.ResourceMemory:           resource.MustParse("4Ti"),
		v1.ResourceEphemeralStorage: resource.MustParse("4Ti"),
		v1.ResourcePods:             resource.MustParse("10000"),
	}
}

// register creates the node, with its first lease, and makes it Ready.
func (n *Node) register(ctx context.Context) error {
	now := metav1.Now()
	node := &v1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: n.opts.Name, Labels: Labels(n.opts.Name, NodeType)},
		Status: v1.NodeStatus{
			Capacity:    Room(),
			Allocatable: Room(),
			Addresses:   []v1.NodeAddress{{Type: v1.NodeHostName, Address: n.opts.Name}, {Type: v1.NodeInternalIP, Address: address}},
			NodeInfo:    v1.NodeSystemInfo{OperatingSystem: runtime.GOOS, Architecture: runtime.GOARCH, ContainerRuntimeVersion: "process://1", KubeletVersion: "hostnode"},
			Conditions: []v1.NodeCondition{{
				Type: v1.NodeReady, Status: v1.ConditionTrue, Reason: "HostNodeReady", Message: "pods are processes of this machine",
				LastHeartbeatTime: now, LastTransitionTime: now,
			}},
		},
	}
	if _, err := n.opts.Client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("registering node %s: %w", n.opts.Name, err)
	}
	if err := n.renewLease(ctx); err != nil {
		return fmt.Errorf("registering node %s: making its lease: %w", n.opts.Name, err)
	}
	return nil
}

// renew keeps the node alive in the eyes of the node lifecycle controller.
func (n *Node) renew(ctx context.Context) {
	for sleep(ctx, renewInterval) {
		if err := n.renewLease(ctx); err != nil && ctx.Err() == nil {
			n.opts.Report(fmt.Errorf("renewing the lease of node %s: %w", n.opts.Name, err))
		}
	}
}

func (n *Node) renewLease(ctx context.Context) error {
	leases := n.opts.Client.CoordinationV1().Leases(v1.NamespaceNodeLease)
	now := metav1.NowMicro()
	lease, err := leases.Get(ctx, n.opts.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		_, err = leases.Create(ctx, &coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Name: n.opts.Name, Namespace: v1.NamespaceNodeLease},
			Spec:       coordinationv1.LeaseSpec{HolderIdentity: &n.opts.Name, LeaseDurationSeconds: new(int32(leaseSeconds)), RenewTime: &now},
		}, metav1.CreateOptions{})
		return err
	}
	if err != nil {
		return err
	}
	lease.Spec.RenewTime = &now
	_, err = leases.Update(ctx, lease, metav1.UpdateOptions{})
	return err
}

// watch follows the pods that are bound to the node until ctx ends.
func (n *Node) watch(ctx context.Context) {
	mine := fields.OneTermEqualSelector("spec.nodeName", n.opts.Name)
	_, informer := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: cache.NewListWatchFromClient(n.opts.Client.CoreV1().RESTClient(), "pods", metav1.NamespaceAll, mine),
		ObjectType:    &v1.Pod{},
		Handler: cache.ResourceEventHandlerFuncs{
			AddFunc:    func(o any) { n.see(ctx, o) },
			UpdateFunc: func(_, o any) { n.see(ctx, o) },
			DeleteFunc: n.forget,
		},
	})
	informer.RunWithContext(ctx)
}

// see starts the work on a new pod and the end of one that is being deleted.
func (n *Node) see(ctx context.Context, o any) {
	pod, ok := o.(*v1.Pod)
	if !ok || ctx.Err() != nil {
		return
	}
	w := n.workers[pod.UID]
	if w == nil {
		if pod.Status.Phase == v1.PodSucceeded || pod.Status.Phase == v1.PodFailed {
			return
		}
		w = newWorker(ctx, n, pod)
		n.workers[pod.UID] = w
		for _, message := range warnings(pod) {
			n.events.Event(pod, v1.EventTypeWarning, "NotSupported", message)
		}
		n.running.Go(func() { w.run(ctx) })
	}
	if pod.DeletionTimestamp != nil {
		w.delete(deletionGrace(pod))
	}
}

// forget ends a pod whose object is gone, which leaves it no grace.
func (n *Node) forget(o any) {
	if gone, ok := o.(cache.DeletedFinalStateUnknown); ok {
		o = gone.Obj
	}
	pod, ok := o.(*v1.Pod)
	if !ok {
		return
	}
	if w := n.workers[pod.UID]; w != nil {
		w.delete(0)
		delete(n.workers, pod.UID)
	}
}

func deletionGrace(pod *v1.Pod) time.Duration {
	if s := pod.DeletionGracePeriodSeconds; s != nil {
		return time.Duration(*s) * time.Second
	}
	return 30 * time.Second
}
