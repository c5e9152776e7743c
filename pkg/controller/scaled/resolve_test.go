package scaled_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/controller/internal/scaledtest"
	"github.com/weir-sh/weir/pkg/controller/scaled"
	"github.com/weir-sh/weir/pkg/kube"
	"github.com/weir-sh/weir/pkg/scalers"
)

func TestTriggersAreResolvedAndWhatTheyDependOnIsWatched(t *testing.T) {
	t.Parallel()
	on := func(ref string) v1alpha1.Trigger {
		out := v1alpha1.Trigger{Type: "fake", Metadata: map[string]string{"name": "jobs"}}
		if ref != "" {
			out.AuthenticationRef = &v1alpha1.AuthenticationRef{Name: ref}
		}
		return out
	}
	shared := on("file")
	shared.AuthenticationRef.Kind = cluster
	const secret, creds = `Secret "pw" in namespace "ns"`, `TriggerAuthentication "creds" in namespace "ns"`
	for name, tc := range map[string]struct {
		triggers []v1alpha1.Trigger
		fail     error
		found    int
		problems string
		refs     string
		fresh    time.Duration
		err      string
	}{
		"nothing to resolve": {triggers: []v1alpha1.Trigger{on("")}, found: 1, refs: "[]"},
		"credentials, once for two triggers": {
			triggers: []v1alpha1.Trigger{on("creds"), on("creds")}, found: 2, refs: "[" + secret + " " + creds + "]",
		},
		"what is missing is watched too": {
			triggers: []v1alpha1.Trigger{on("none"), on("")},
			problems: `spec.triggers[0].authenticationRef: TriggerAuthentication "none" in namespace "ns" does not exist; create it or correct the reference`,
			found:    1,
			refs:     `[TriggerAuthentication "none" in namespace "ns"]`,
		},
		"an object that contradicts itself": {
			triggers: []v1alpha1.Trigger{on("wrong")},
			problems: `spec.triggers[0].authenticationRef: TriggerAuthentication "wrong": spec.podIdentity.externalID: needs roleArn, the role that it is given for; set that too`,
			refs:     `[TriggerAuthentication "wrong" in namespace "ns"]`,
		},
		"a file, which nobody tells of": {triggers: []v1alpha1.Trigger{on("creds"), shared}, found: 2, refs: "[ClusterTriggerAuthentication \"file\" " + secret + " " + creds + "]", fresh: time.Minute},
		"an API server that is away": {
			triggers: []v1alpha1.Trigger{on("creds")}, fail: errors.New("no route"), refs: "[" + secret + " " + creds + "]",
			err: "reading " + secret + ": no route",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, r := resolver(t)
			w.Fail = func(string) error { return tc.fail }
			owner := scaled.Object.Owner(key("ns", "a"))
			got, err := r.Resolve(t.Context(), owner, kube.Workload{Namespace: "ns", Name: "a"}, tc.triggers, false)
			text := ""
			if err != nil {
				text = err.Error()
			}
			equal(t, "error", text, tc.err)
			equal(t, "watched", fmt.Sprint(w.Refs[string(owner)]), tc.refs)
			equal(t, "problems", scaled.Text(got.Problems), tc.problems)
			equal(t, "triggers", len(got.Triggers), tc.found)
			stale := time.Duration(0)
			if !got.StaleAt.IsZero() {
				stale = got.StaleAt.Sub(scaledtest.Start())
			}
			equal(t, "stale after", stale, tc.fresh)
			r.Forget(owner)
			equal(t, "watched in the end", len(w.Refs[string(owner)]), 0)
		})
	}
}

// resolver resolves from a cluster that has some authentication objects.
func resolver(t *testing.T) (*scaledtest.Record, scaled.Resolver) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "auth.json"), []byte(`{"password":"x"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	creds, wrong := authentication(1), authentication(1)
	creds.Spec.SecretTargetRef = []v1alpha1.TargetRef{{Parameter: "password", Name: "pw", Key: "p"}}
	wrong.Name = "wrong"
	wrong.Spec.PodIdentity = &v1alpha1.PodIdentity{Provider: v1alpha1.PodIdentityAWS, ExternalID: new("x")}
	objects := []client.Object{
		creds, wrong,
		&v1alpha1.ClusterTriggerAuthentication{ObjectMeta: metav1.ObjectMeta{Name: "file"}, Spec: v1alpha1.TriggerAuthenticationSpec{FilePath: "auth.json"}},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "pw"}, Data: map[string][]byte{"p": []byte("x")}},
	}
	api := scaledtest.Cluster(t, nil, objects...).Build()
	registry, err := scalers.NewRegistry(scaledtest.Fake(1))
	if err != nil {
		t.Fatal(err)
	}
	w := &scaledtest.Record{T: t}
	return w, scaled.Resolver{
		Registry: registry, References: w, Now: scaledtest.Start,
		Credentials: kube.Credentials{Objects: scaledtest.Objects{Reader: kube.Reader{Cache: api}, Record: w}, ClusterNamespace: "weir-system", FilePathRoot: dir},
	}
}

func TestTheEnvironmentIsNeededWhereAParameterMayComeFromIt(t *testing.T) {
	t.Parallel()
	plain := v1alpha1.Trigger{Metadata: map[string]string{"host": "h", "FromEnvironment": "no"}}
	for name, tc := range map[string]struct {
		list []v1alpha1.Trigger
		want bool
	}{
		"no triggers":       {nil, false},
		"plain parameters":  {[]v1alpha1.Trigger{plain, plain}, false},
		"by its name":       {[]v1alpha1.Trigger{plain, {Metadata: map[string]string{"hostFromEnv": "HOST"}}}, true},
		"by authentication": {[]v1alpha1.Trigger{{AuthenticationRef: &v1alpha1.AuthenticationRef{Name: "creds"}}}, true},
	} {
		equal(t, name, scaled.NeedsEnvironment(tc.list), tc.want)
	}
}
