package webhook_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/scalers/all"
	"github.com/weir-sh/weir/pkg/webhook"
)

// authentication gives parameters of these names, and an identity unless it is
// empty.
func authentication(identity string, names ...string) *v1alpha1.TriggerAuthentication {
	a := &v1alpha1.TriggerAuthentication{ObjectMeta: metav1.ObjectMeta{Name: "auth", Namespace: "shop"}}
	for _, n := range names {
		a.Spec.SecretTargetRef = append(a.Spec.SecretTargetRef, v1alpha1.TargetRef{Parameter: n, Name: "secret", Key: n})
	}
	if identity != "" {
		a.Spec.PodIdentity = &v1alpha1.PodIdentity{Provider: v1alpha1.PodIdentityProvider(identity)}
	}
	return a
}

// TestNoExampleIsRefusedWhateverIsAppliedFirst: what the pages of the scalers
// show gets in without its authentication object, which is warned of, and without
// any warning about parameters beside it.
func TestNoExampleIsRefusedWhateverIsAppliedFirst(t *testing.T) {
	t.Parallel()
	var given []client.Object
	asked := map[string]*v1alpha1.ScaledObject{}
	for _, def := range all.Scalers() {
		for _, e := range def.Examples {
			auth := authentication(e.Identity, slices.Sorted(maps.Keys(e.Auth))...)
			auth.Name = fmt.Sprintf("auth-%d", len(asked))
			given = append(given, auth)
			asked[def.Type+"/"+e.Title] = scaledObject("web", func(o *v1alpha1.ScaledObject) {
				o.Spec.ScaleTargetRef.Kind = "Rollout" // of which nothing is known
				o.Spec.Triggers = []v1alpha1.Trigger{{Type: def.Type, Metadata: e.Metadata, MetricType: autoscalingv2.MetricTargetType(e.MetricType)}}
				if len(e.Auth) > 0 || e.Identity != "" {
					o.Spec.Triggers[0].AuthenticationRef = &v1alpha1.AuthenticationRef{Name: auth.Name}
				}
			})
		}
	}
	if len(asked) < 20 {
		t.Fatalf("only %d examples", len(asked))
	}
	before, after := server(t, newCache(t)), server(t, newCache(t, given...))
	for name, o := range asked {
		alone := review(t, before, webhook.PathScaledObjects, o, nil)
		if !alone.Allowed {
			t.Errorf("%s without its authentication: %s", name, said(alone))
		}
		if ref := o.Spec.Triggers[0].AuthenticationRef; ref != nil {
			missing := fmt.Sprintf("spec.triggers[0].authenticationRef: TriggerAuthentication %q in namespace \"shop\" does not exist; create it or correct the reference", ref.Name)
			if !slices.Contains(alone.Warnings, missing) {
				t.Errorf("%s: warnings %q", name, alone.Warnings)
			}
		}
		both := review(t, after, webhook.PathScaledObjects, o, nil)
		if text := said(both); !both.Allowed || strings.Contains(text, "authenticationRef") || strings.Contains(text, "gives now") {
			t.Errorf("%s with its authentication: %s", name, text)
		}
	}
}

// TestWhatAnAuthenticationObjectDoesNotGiveIsWarnedOf: the next object that is
// applied may be its new version.
func TestWhatAnAuthenticationObjectDoesNotGiveIsWarnedOf(t *testing.T) {
	t.Parallel()
	o := scaledObject("web", func(o *v1alpha1.ScaledObject) {
		o.Spec.ScaleTargetRef.Kind = "Rollout"
		o.Spec.Triggers[0] = v1alpha1.Trigger{Type: "rabbitmq", Metadata: map[string]string{"queueName": "jobs"}, AuthenticationRef: &v1alpha1.AuthenticationRef{Name: "auth"}}
	})
	for want, auth := range map[string]client.Object{
		"": authentication("", "host"),
		`Warning: spec.triggers[0].metadata.host: is required; set it in the trigger's metadata, or as an authentication parameter, or through hostFromEnv, naming a variable that the workload's container sets (with what TriggerAuthentication "auth" gives now)`: authentication("", "hsot"),
	} {
		if got := said(review(t, server(t, newCache(t, auth)), webhook.PathScaledObjects, o, nil)); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}
}

// broken is a cache that fails, in one way or another.
type broken struct {
	webhook.Cache
	panics bool
}

func (b broken) List(context.Context, client.ObjectList, ...client.ListOption) error {
	if b.panics {
		panic("at the disco")
	}
	return errors.New("the index is not there")
}

func TestWhatCannotBeJudgedIsLetThrough(t *testing.T) {
	t.Parallel()
	o := scaledObject("web", func(o *v1alpha1.ScaledObject) { o.Spec.Triggers[0].Type = "reddis" })
	for want, panics := range map[string]bool{
		"Warning: weir could not check this object: looking for other ScaledObjects: the index is not there": false,
		"Warning: weir could not check this object: a rule panicked: at the disco":                           true,
	} {
		s := server(t, broken{newCache(t, deployment("web")), panics})
		if got := said(review(t, s, webhook.PathScaledObjects, o, nil)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestWhatIsNoObjectIsABadRequest(t *testing.T) {
	t.Parallel()
	s := server(t, newCache(t))
	r := review(t, s, webhook.PathScaledJobs, &v1alpha1.ScaledObject{Spec: v1alpha1.ScaledObjectSpec{Fallback: &v1alpha1.Fallback{}}}, nil)
	if !r.Allowed && r.Result.Code == 400 {
		t.Errorf("fields that are not known are ignored, as everywhere: %s", said(r))
	}
	r = review(t, s, webhook.PathScaledObjects, badObject{scaledObject("web")}, nil)
	if want := "400 : the object cannot be decoded: json: cannot unmarshal string into Go struct field ScaledObject.spec of type v1alpha1.ScaledObjectSpec"; said(r) != want {
		t.Errorf("got %s, want %s", said(r), want)
	}
}

// badObject is no ScaledObject when it is written.
type badObject struct{ client.Object }

// MarshalJSON implements json.Marshaler.
func (badObject) MarshalJSON() ([]byte, error) { return fmt.Appendf(nil, `{"spec":%q}`, "text"), nil }
