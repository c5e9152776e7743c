package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	aggregator "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/kube"
	"github.com/weir-sh/weir/pkg/kube/certs"
	"github.com/weir-sh/weir/pkg/metricsapi"
	"github.com/weir-sh/weir/pkg/scalers"
)

// newScheme knows the kinds that weir reads and writes.
func newScheme() (*runtime.Scheme, error) {
	s := runtime.NewScheme()
	return s, errors.Join(clientgoscheme.AddToScheme(s), v1alpha1.AddToScheme(s))
}

// cacheOptions keeps of each object only what is looked at.
func cacheOptions(namespaces []string) cache.Options {
	o := cache.Options{
		DefaultTransform: strip,
		ByObject: map[client.Object]cache.ByObject{
			&appsv1.Deployment{}:                     {Transform: stripDeployment},
			&appsv1.StatefulSet{}:                    {Transform: stripStatefulSet},
			&autoscalingv2.HorizontalPodAutoscaler{}: {Transform: stripHPA},
			&corev1.Pod{}:                            {Transform: stripPod},
			&batchv1.Job{}:                           {Label: ofScaledJobs(), Transform: stripJob},
		},
	}
	if len(namespaces) > 0 {
		o.DefaultNamespaces = map[string]cache.Config{}
		for _, n := range namespaces {
			o.DefaultNamespaces[n] = cache.Config{}
		}
	}
	return o
}

// strip drops what is large and not looked at in any object. It is not given for
// each kind of ours by name: the cache would then refuse to start before their
// CRDs are served, as on the first installation.
func strip(in any) (any, error) {
	if o, ok := in.(metav1.Object); ok {
		o.SetManagedFields(nil)
		// A copy of the object, which kubectl keeps for itself.
		delete(o.GetAnnotations(), "kubectl.kubernetes.io/last-applied-configuration")
	}
	return in, nil
}

// stripDeployment keeps the replicas and the environment of the containers.
func stripDeployment(in any) (any, error) {
	if d, ok := in.(*appsv1.Deployment); ok {
		kube.StripMeta(&d.ObjectMeta)
		d.Spec = appsv1.DeploymentSpec{Replicas: d.Spec.Replicas, Template: kube.StripTemplate(&d.Spec.Template)}
		d.Status = appsv1.DeploymentStatus{}
	}
	return in, nil
}

// stripStatefulSet keeps the same of a StatefulSet.
func stripStatefulSet(in any) (any, error) {
	if s, ok := in.(*appsv1.StatefulSet); ok {
		kube.StripMeta(&s.ObjectMeta)
		s.Spec = appsv1.StatefulSetSpec{Replicas: s.Spec.Replicas, Template: kube.StripTemplate(&s.Spec.Template)}
		s.Status = appsv1.StatefulSetStatus{}
	}
	return in, nil
}

// stripPod keeps what pods are counted by.
func stripPod(in any) (any, error) {
	if p, ok := in.(*corev1.Pod); ok {
		kube.StripPod(p)
	}
	return in, nil
}

// ofScaledJobs selects the Jobs that ScaledJobs create.
func ofScaledJobs() labels.Selector {
	named, err := labels.NewRequirement(v1alpha1.LabelScaledJobName, selection.Exists, nil)
	if err != nil {
		panic(err) // the key is a constant
	}
	return labels.NewSelector().Add(*named)
}

// stripJob keeps whose Job it is, and whether and when it ended.
func stripJob(in any) (any, error) {
	if j, ok := in.(*batchv1.Job); ok {
		kube.StripMeta(&j.ObjectMeta)
		j.Spec = batchv1.JobSpec{}
		j.Status = batchv1.JobStatus{Conditions: j.Status.Conditions, CompletionTime: j.Status.CompletionTime}
	}
	return in, nil
}

// stripHPA keeps the conditions of the status: its metrics change on every tick
// of the HPA controller and nobody here looks at them.
func stripHPA(in any) (any, error) {
	if h, ok := in.(*autoscalingv2.HorizontalPodAutoscaler); ok {
		h.ManagedFields = nil
		h.Status = autoscalingv2.HorizontalPodAutoscalerStatus{Conditions: h.Status.Conditions}
	}
	return in, nil
}

// serveAPIs adds what the API server calls: the external metrics API and the
// admission webhook, with what keeps their certificate and their registration.
func serveAPIs(m ctrl.Manager, o *options, registry *scalers.Registry, c *controls, log *slog.Logger) error {
	client, err := kubernetes.NewForConfig(m.GetConfig())
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	source, err := certificates(client, o, log)
	if err != nil {
		return err
	}
	return errors.Join(
		m.Add(everywhere{source.Run}),
		serveMetrics(m, o, c, client, source, log),
		o.serveAdmission(m, admission{
			registry: registry, client: client, source: source, namespace: o.namespace, namespaces: o.watchNamespaces, observe: c.told.admission, minTLS: o.minTLS, ciphers: o.ciphers, log: log,
		}),
	)
}

// serveMetrics adds the external metrics API and what keeps its registration.
func serveMetrics(m ctrl.Manager, o *options, c *controls, client kubernetes.Interface, source certs.Source, log *slog.Logger) error {
	api, err := metricsapi.New(metricsapi.Config{
		Readings: c.told.readings(readings{c.objects}), Certificate: source, Kube: client, Address: o.apiAddress,
		MinTLS: o.minTLS, CipherSuites: o.ciphers, Log: log.With(slog.String("part", "metricsapi")),
	})
	if err != nil {
		return err
	}
	if err := m.Add(everywhere{api.Run}); err != nil || !o.registerAPIServer {
		return err
	}
	registrations, err := aggregator.NewForConfig(m.GetConfig())
	if err != nil {
		return fmt.Errorf("making an aggregator client: %w", err)
	}
	keeper, err := certs.NewAPIService(certs.APIServiceConfig{
		Client: registrations.ApiregistrationV1().APIServices(), Certs: source,
		Service:  types.NamespacedName{Namespace: o.namespace, Name: o.service},
		TakeOver: o.takeOver, Log: log.With(slog.String("part", "apiservice")),
	})
	if err != nil {
		return err
	}
	return m.Add(leading{keeper.Run})
}

// certificates chooses who makes the serving certificate.
func certificates(client kubernetes.Interface, o *options, log *slog.Logger) (certs.Source, error) {
	log = log.With(slog.String("part", "certs"))
	if o.certDir != "" && !o.ownCertificates {
		return certs.NewFiles(certs.FilesConfig{Dir: o.certDir, Log: log})
	}
	return certs.NewSelfSigned(certs.SelfSignedConfig{
		Secrets: client.CoreV1().Secrets(o.namespace), Namespace: o.namespace,
		Names: append(certs.ServiceNames(o.service, o.namespace, o.clusterDomain), o.names(o.namespace, o.clusterDomain)...), Log: log,
	})
}

// leaderRole is the label value by which the Service of the external metrics API
// finds the replica that leads: the others have measured nothing.
const leaderRole = `"leader"`

// leaderLabel marks this pod as the leader.
func leaderLabel(client kubernetes.Interface, o *options, log *slog.Logger) func(context.Context) error {
	return func(ctx context.Context) error {
		return kube.Retry(ctx, func(ctx context.Context) error {
			err := setRole(ctx, client, o, leaderRole)
			if err != nil {
				log.Error("marking this pod as the leader failed; trying again", slog.Any("error", err))
			}
			return err
		})
	}
}

// setRole labels this pod; "null" takes the label away, as after a restart in a
// pod that led before. Outside a pod there is nothing to label.
func setRole(ctx context.Context, client kubernetes.Interface, o *options, role string) error {
	if o.podName == "" {
		return nil
	}
	patch := []byte(`{"metadata":{"labels":{"weir.sh/role":` + role + `}}}`)
	_, err := client.CoreV1().Pods(o.namespace).Patch(ctx, o.podName, types.StrategicMergePatchType, patch, metav1.PatchOptions{FieldManager: kube.FieldManager})
	if err != nil {
		return fmt.Errorf("labelling pod %q: %w", o.podName, err)
	}
	return nil
}
