// Package kwok plays nodes without processes: the program kwok answers for
// them, and their pods run and complete as its stages say. It is for
// hundreds of pods; package hostnode is for pods that do work.
package kwok

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/weir-sh/weir/test/cluster/internal/hostnode"
	"github.com/weir-sh/weir/test/cluster/internal/process"
)

// NodeType is the value of hostnode.TypeLabel on these nodes. They have a
// taint of the same key and value, so that only pods that tolerate it, and
// so expect not to run, come here.
const NodeType = "kwok"

// Options say which nodes to play. All fields are required.
type Options struct {
	Client     kubernetes.Interface
	Launcher   *process.Launcher
	Nodes      int
	Program    string // kwok's path, or its name in PATH
	Stages     string // a file of kwok Stage objects
	Kubeconfig string
	LogFile    string
}

// Start creates the nodes and starts kwok for them, and only for them. The
// returned process ends with the launcher.
func Start(ctx context.Context, opts Options) (*process.Process, error) {
	for i := range opts.Nodes {
		_, err := opts.Client.CoreV1().Nodes().Create(ctx, node(fmt.Sprintf("kwok-%d", i)), metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return nil, fmt.Errorf("creating node kwok-%d: %w", i, err)
		}
	}
	path, err := exec.LookPath(opts.Program)
	if err != nil {
		return nil, fmt.Errorf("finding kwok: %w; build it with go run ./internal/testcluster/build -kwok", err)
	}
	port, err := freePort(ctx)
	if err != nil {
		return nil, fmt.Errorf("choosing a port for kwok: %w", err)
	}
	log, err := os.Create(opts.LogFile)
	if err != nil {
		return nil, fmt.Errorf("making the log of kwok: %w", err)
	}
	//nolint:noctx // the launcher ends it
	cmd := exec.Command(path,
		"--config="+opts.Stages,
		"--kubeconfig="+opts.Kubeconfig,
		"--manage-all-nodes=false",
		"--manage-nodes-with-label-selector="+hostnode.TypeLabel+"="+NodeType,
		"--node-lease-duration-seconds=40",
		"--server-address="+port,
	)
	cmd.Stdout, cmd.Stderr = log, log
	p, err := opts.Launcher.Start(cmd)
	if err := errors.Join(err, log.Close()); err != nil {
		return nil, fmt.Errorf("starting kwok: %w", err)
	}
	return p, nil
}

func node(name string) *v1.Node {
	room := hostnode.Room()
	return &v1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: hostnode.Labels(name, NodeType)},
		Spec: v1.NodeSpec{Taints: []v1.Taint{{
			Key: hostnode.TypeLabel, Value: NodeType, Effect: v1.TaintEffectNoSchedule,
		}}},
		Status: v1.NodeStatus{Capacity: room, Allocatable: room},
	}
}

// freePort returns a loopback address that was free a moment ago; kwok cannot
// be handed an open listener.
func freePort(ctx context.Context) (string, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
