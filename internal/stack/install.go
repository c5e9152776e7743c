package stack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"

	"github.com/weir-sh/weir/internal/testcluster"
	"github.com/weir-sh/weir/pkg/api/v1alpha1"
)

// Names in deploy/.
const (
	namespace      = "weir-system"
	serviceAccount = "weir"
	webhookService = "weir-webhooks"
	manifest       = "deploy/weir.yaml"
)

// Build builds weir, and weir-demo-worker beside it, and returns weir's path. It
// keeps the flags of make build, so that nothing is compiled twice.
func Build(ctx context.Context) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	bin := filepath.Join(root, "bin")
	for name, pkg := range map[string]string{"weir": "./cmd/weir", "weir-demo-worker": "./internal/demo/worker"} {
		cmd := exec.CommandContext(ctx, "go", "build", "-ldflags", "-s -w", "-o", filepath.Join(bin, name), pkg) //nolint:gosec // fixed arguments
		cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0")                                           //nolint:forbidigo // a child of ours needs our environment
		if text, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("building %s: %w: %s", name, err, bytes.TrimSpace(text))
		}
	}
	return filepath.Join(bin, "weir"), nil
}

// Root returns the folder of the module, above the working directory.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the module: %w", err)
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, manifest)); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("finding the module: no " + manifest + " above the working directory; run inside the repository")
		}
	}
}

// Objects reads the objects of YAML files.
func Objects(paths ...string) ([]*unstructured.Unstructured, error) {
	var out []*unstructured.Unstructured
	for _, path := range paths {
		raw, err := os.ReadFile(path) //nolint:gosec // files of the repository
		if err != nil {
			return nil, fmt.Errorf("reading manifests: %w", err)
		}
		d := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(raw), 4096)
		for {
			u := new(unstructured.Unstructured)
			if err := d.Decode(&u.Object); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return nil, fmt.Errorf("reading manifests: %s: %w", path, err)
			}
			if len(u.Object) > 0 {
				out = append(out, u)
			}
		}
	}
	return out, nil
}

// Apply applies objects by server-side apply, in order. Kinds that are being
// registered, as those of CRDs just applied, are waited for.
func Apply(ctx context.Context, c *testcluster.Cluster, objects ...*unstructured.Unstructured) error {
	client, err := dynamic.NewForConfig(c.RESTConfig())
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	found, err := discovery.NewDiscoveryClientForConfig(c.RESTConfig())
	if err != nil {
		return fmt.Errorf("making a discovery client: %w", err)
	}
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(found))
	for _, u := range objects {
		if err := applyOne(ctx, client, mapper, u); err != nil {
			return fmt.Errorf("applying %s %q: %w", u.GetKind(), u.GetName(), err)
		}
	}
	return nil
}

// registerTimeout is how long a new CRD may take to be served.
const registerTimeout = 30 * time.Second

func applyOne(ctx context.Context, client dynamic.Interface, mapper *restmapper.DeferredDiscoveryRESTMapper, u *unstructured.Unstructured) error {
	ctx, cancel := context.WithTimeout(ctx, registerTimeout)
	defer cancel()
	gvk := u.GroupVersionKind()
	for {
		mapping, err := mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
		if err == nil {
			var to dynamic.ResourceInterface = client.Resource(mapping.Resource)
			if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
				to = client.Resource(mapping.Resource).Namespace(u.GetNamespace())
			}
			_, err = to.Apply(ctx, u.GetName(), u, metav1.ApplyOptions{FieldManager: "weir-test", Force: true})
		}
		if !meta.IsNoMatchError(err) && !apierrors.IsNotFound(err) {
			return err
		}
		mapper.Reset()
		select {
		case <-ctx.Done():
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// install applies deploy/weir.yaml, except what runs weir inside the cluster:
// here it is a process beside it, which the API server reaches on ports of
// loopback: one for external metrics, one for admission.
func install(ctx context.Context, c *testcluster.Cluster, metrics, admission int) error {
	root, err := Root()
	if err != nil {
		return err
	}
	all, err := Objects(filepath.Join(root, manifest))
	if err != nil {
		return err
	}
	var objects []*unstructured.Unstructured
	for _, u := range all {
		switch u.GetKind() {
		case "Deployment", "PodDisruptionBudget":
			continue
		case "Service":
			port := metrics
			if u.GetName() == webhookService {
				port = admission
			}
			u.Object["spec"] = map[string]any{
				"type": "ExternalName", "externalName": "localhost",
				"ports": []any{map[string]any{"port": int64(port)}},
			}
		case "APIService":
			if err := unstructured.SetNestedField(u.Object, int64(metrics), "spec", "service", "port"); err != nil {
				return err
			}
		case "ValidatingWebhookConfiguration":
			if err := redirect(u, admission); err != nil {
				return err
			}
		}
		objects = append(objects, u)
	}
	return errors.Join(Apply(ctx, c, objects...), served(ctx, c))
}

// served waits until the API server serves our kinds, which weir asks for when it
// starts.
func served(ctx context.Context, c *testcluster.Cluster) error {
	ctx, cancel := context.WithTimeout(ctx, registerTimeout)
	defer cancel()
	kinds := []string{
		v1alpha1.KindScaledObject, v1alpha1.KindScaledJob,
		v1alpha1.KindTriggerAuthentication, v1alpha1.KindClusterTriggerAuthentication,
	}
	for {
		list, err := c.Client().Discovery().ServerResourcesForGroupVersion(v1alpha1.GroupVersion.String())
		if err == nil && !slices.ContainsFunc(kinds, func(kind string) bool {
			return !slices.ContainsFunc(list.APIResources, func(r metav1.APIResource) bool { return r.Kind == kind })
		}) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the kinds of %s: %w", v1alpha1.GroupVersion, errors.Join(err, ctx.Err()))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// redirect leads the webhooks of a configuration to another port of their Service.
func redirect(u *unstructured.Unstructured, port int) error {
	hooks, ok, err := unstructured.NestedSlice(u.Object, "webhooks")
	if err != nil || !ok {
		return fmt.Errorf("reading manifests: %s %q has no webhooks: %w", u.GetKind(), u.GetName(), err)
	}
	for i := range hooks {
		hook, ok := hooks[i].(map[string]any)
		if !ok {
			return fmt.Errorf("reading manifests: webhook %d of %q is no object", i, u.GetName())
		}
		if err := unstructured.SetNestedField(hook, int64(port), "clientConfig", "service", "port"); err != nil {
			return err
		}
	}
	return unstructured.SetNestedSlice(u.Object, hooks, "webhooks")
}
