package serve

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
)

// definitionsTimeout is how long a start waits for the CRDs, which may have been
// applied a moment ago, with weir itself. It is less than the kubelet lets a
// container be that does not answer its probes.
const definitionsTimeout = 45 * time.Second

// kindsOf tells the resources of a group version; discovery clients do.
type kindsOf interface {
	ServerResourcesForGroupVersion(groupVersion string) (*metav1.APIResourceList, error)
}

// awaitDefinitions returns once the API server serves every kind of ours, or ctx
// ends, which is no error.
func awaitDefinitions(ctx context.Context, by kindsOf, log *slog.Logger) error {
	const again = 500 * time.Millisecond
	timeout := time.After(definitionsTimeout)
	for told := false; ; told = true {
		missing, err := missingKinds(by)
		if err == nil && len(missing) == 0 {
			return nil
		}
		switch {
		case told:
		case err != nil:
			log.Warn("waiting for the API server", slog.Any("error", err))
		default:
			log.Warn("waiting for CustomResourceDefinitions to be served", slog.String("missing", strings.Join(missing, ", ")))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-timeout:
			if err != nil {
				return fmt.Errorf("asking the API server for the kinds of %s: %w", v1alpha1.GroupVersion, err)
			}
			return fmt.Errorf("waiting for %s of %s: the API server does not serve them; apply deploy/crds", strings.Join(missing, ", "), v1alpha1.GroupVersion)
		case <-time.After(again):
		}
	}
}

// missingKinds are the kinds of ours that the API server does not serve.
func missingKinds(by kindsOf) ([]string, error) {
	list, err := by.ServerResourcesForGroupVersion(v1alpha1.GroupVersion.String())
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, err
	}
	var missing []string
	for _, kind := range []string{
		v1alpha1.KindScaledObject, v1alpha1.KindScaledJob, v1alpha1.KindTriggerAuthentication, v1alpha1.KindClusterTriggerAuthentication,
	} {
		if err != nil || !slices.ContainsFunc(list.APIResources, func(r metav1.APIResource) bool { return r.Kind == kind }) {
			missing = append(missing, kind)
		}
	}
	return missing, nil
}
