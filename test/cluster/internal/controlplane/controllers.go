package controlplane

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	kcm "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	kcmoptions "k8s.io/kubernetes/cmd/kube-controller-manager/app/options"
	"k8s.io/kubernetes/cmd/kube-controller-manager/names"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	scheduleroptions "k8s.io/kubernetes/cmd/kube-scheduler/app/options"
)

// controllers are those that a workload, its autoscaler and its namespace need.
// Without node-lifecycle new nodes keep their not-ready taint for ever.
func controllers() []string {
	return []string{
		names.HorizontalPodAutoscalerController,
		names.DeploymentController,
		names.ReplicaSetController,
		names.StatefulSetController,
		names.JobController,
		names.CronJobController,
		names.TTLAfterFinishedController,
		names.NamespaceController,
		names.ServiceAccountController,
		names.ServiceAccountTokenController,
		names.RootCACertificatePublisherController,
		names.GarbageCollectorController,
		names.PodGarbageCollectorController,
		names.EndpointSliceController,
		names.NodeLifecycleController,
		names.TaintEvictionController,
		names.DisruptionController,
		names.ClusterRoleAggregationController,
	}
}

// startControllerManager starts the controllers, each as a service account of
// its own with the rights that Kubernetes gives it, as in real clusters.
func (p *Plane) startControllerManager(ctx context.Context, f files) error {
	kubeconfig := filepath.Join(p.opts.Dir, "controller-manager.kubeconfig")
	if err := p.WriteKubeconfigFor(kubeconfig, controllerManagerUser); err != nil {
		return err
	}
	args := append([]string{
		"--kubeconfig=" + kubeconfig,
		"--kube-api-qps=" + formatFloat(p.opts.QPS),
		fmt.Sprintf("--kube-api-burst=%d", p.opts.Burst),
		"--leader-elect=false",
		"--secure-port=0",
		"--use-service-account-credentials=true",
		"--service-account-private-key-file=" + f.serviceAccountKey,
		"--root-ca-file=" + f.clusterCA,
		"--controllers=" + strings.Join(controllers(), ","),
		"--horizontal-pod-autoscaler-sync-period=" + p.opts.HPASyncPeriod.String(),
		"--horizontal-pod-autoscaler-downscale-stabilization=" + p.opts.HPADownscaleStabilization.String(),
	}, p.opts.ControllerManagerArgs...)
	known, disabled, aliases := kcm.KnownControllers(), kcm.ControllersDisabledByDefault(), kcm.ControllerAliases()
	o, err := kcmoptions.NewKubeControllerManagerOptions()
	if err != nil {
		return fmt.Errorf("configuring kube-controller-manager: %w", err)
	}
	sets := o.Flags(known, disabled, aliases)
	o.ParsedFlags = &sets
	if err := parse(sets, args); err != nil {
		return fmt.Errorf("configuring kube-controller-manager: %w", err)
	}
	config, err := o.Config(ctx, known, disabled, aliases)
	if err != nil {
		return fmt.Errorf("configuring kube-controller-manager: %w", err)
	}
	p.run("kube-controller-manager", func() error { return kcm.Run(ctx, config.Complete()) })
	return nil
}

func (p *Plane) startScheduler(ctx context.Context) error {
	kubeconfig := filepath.Join(p.opts.Dir, "scheduler.kubeconfig")
	if err := p.WriteKubeconfigFor(kubeconfig, schedulerUser); err != nil {
		return err
	}
	o := scheduleroptions.NewOptions()
	args := []string{
		"--kubeconfig=" + kubeconfig,
		"--kube-api-qps=" + formatFloat(p.opts.QPS),
		fmt.Sprintf("--kube-api-burst=%d", p.opts.Burst),
		"--leader-elect=false",
		"--secure-port=0",
	}
	if err := parse(*o.Flags, args); err != nil {
		return fmt.Errorf("configuring kube-scheduler: %w", err)
	}
	config, s, err := scheduler.Setup(ctx, o)
	if err != nil {
		return fmt.Errorf("configuring kube-scheduler: %w", err)
	}
	p.run("kube-scheduler", func() error { return scheduler.Run(ctx, config, s) })
	return nil
}
