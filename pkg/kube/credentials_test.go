package kube_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/kube"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

type auth = v1alpha1.TriggerAuthenticationSpec

func target(parameter, name, key string) []v1alpha1.TargetRef {
	return []v1alpha1.TargetRef{{Parameter: parameter, Name: name, Key: key}}
}

// cluster is what exists in these tests.
func cluster() *objects {
	return &objects{
		secrets: map[string]map[string][]byte{
			"shop/broker": {"password": []byte("from-secret"), "empty": {}}, "weir/broker": {"password": []byte("from-weir")},
		},
		configMaps: map[string]map[string]string{"shop/broker": {"user": "from-map"}, "weir/broker": {"user": "from-weir-map"}},
		auths:      map[string]*auth{}, clusterAuths: map[string]*auth{},
	}
}

// workload has two containers with variables.
func workload() kube.Workload {
	return kube.Workload{Namespace: "shop", Pod: &corev1.PodSpec{
		InitContainers: []corev1.Container{{Name: "init", Env: []corev1.EnvVar{{Name: "PW", Value: "from-init"}}}},
		Containers: []corev1.Container{
			{Name: "first", Env: []corev1.EnvVar{{Name: "PW", Value: "from-first"}, {Name: "ONLY", Value: "x"}}},
			{Name: "second", Env: []corev1.EnvVar{{Name: "PW", Value: "from-second"}}},
		},
	}}
}

const (
	noBroker   = "does not exist; create it or correct the reference"
	taRef      = "TriggerAuthentication shop/auth"
	ctaRef     = "ClusterTriggerAuthentication auth"
	notAllowed = ": weir is not allowed to; grant its service account get and watch on it"
)

func TestAuthenticationParameters(t *testing.T) {
	t.Parallel()
	role, id := "arn:aws:iam::1:role/r", "id"
	for _, tc := range []struct {
		name    string
		spec    auth
		cluster bool
		want    string // parameters
		refs    string
		err     string
	}{
		{name: "none", want: "map[]", refs: taRef},
		{name: "a Secret", spec: auth{SecretTargetRef: target("p", "broker", "password")}, want: "map[p:from-secret]", refs: "Secret shop/broker, " + taRef},
		{name: "a ConfigMap", spec: auth{ConfigMapTargetRef: target("p", "broker", "user")}, want: "map[p:from-map]", refs: "ConfigMap shop/broker, " + taRef},
		{name: "a variable of the first container", spec: auth{Env: []v1alpha1.EnvRef{{Parameter: "p", Name: "PW"}}}, want: "map[p:from-first]", refs: taRef},
		{name: "a variable of another container", spec: auth{Env: []v1alpha1.EnvRef{{Parameter: "p", Name: "PW", ContainerName: "second"}}}, want: "map[p:from-second]", refs: taRef},
		{
			name: "a Secret wins over a ConfigMap and a variable",
			spec: auth{
				SecretTargetRef: target("p", "broker", "password"), ConfigMapTargetRef: target("p", "broker", "user"),
				Env: []v1alpha1.EnvRef{{Parameter: "p", Name: "PW"}},
			},
			want: "map[p:from-secret]", refs: "ConfigMap shop/broker, Secret shop/broker, " + taRef,
		},
		{
			name: "a ConfigMap wins over a variable",
			spec: auth{ConfigMapTargetRef: target("p", "broker", "user"), Env: []v1alpha1.EnvRef{{Parameter: "p", Name: "PW"}}},
			want: "map[p:from-map]", refs: "ConfigMap shop/broker, " + taRef,
		},
		{
			name: "of one source the later entry wins",
			spec: auth{SecretTargetRef: append(target("p", "broker", "empty"), target("p", "broker", "password")...)},
			want: "map[p:from-secret]", refs: "Secret shop/broker, " + taRef,
		},
		{
			name:    "a ClusterTriggerAuthentication reads its own namespace, and the variables of the workload",
			cluster: true,
			spec: auth{
				SecretTargetRef: target("s", "broker", "password"), ConfigMapTargetRef: target("c", "broker", "user"),
				Env: []v1alpha1.EnvRef{{Parameter: "e", Name: "PW"}},
			},
			want: "map[c:from-weir-map e:from-first s:from-weir]", refs: ctaRef + ", ConfigMap weir/broker, Secret weir/broker",
		},
		{
			name: "a missing Secret", spec: auth{SecretTargetRef: target("p", "gone", "password")}, want: "map[p:]", refs: "Secret shop/gone, " + taRef,
			err: `resolving authentication parameter "p": Secret "gone" in namespace "shop" ` + noBroker,
		},
		{
			name: "a missing key of a Secret", spec: auth{SecretTargetRef: target("p", "broker", "pw")}, want: "map[p:]", refs: "Secret shop/broker, " + taRef,
			err: `resolving authentication parameter "p": Secret "broker" in namespace "shop" has no key "pw"; add the key or correct the reference`,
		},
		{name: "an empty key is no missing one", spec: auth{SecretTargetRef: target("p", "broker", "empty")}, want: "map[p:]", refs: "Secret shop/broker, " + taRef},
		{
			name: "a missing ConfigMap", spec: auth{ConfigMapTargetRef: target("p", "gone", "user")}, want: "map[p:]", refs: "ConfigMap shop/gone, " + taRef,
			err: `resolving authentication parameter "p": ConfigMap "gone" in namespace "shop" ` + noBroker,
		},
		{
			name: "a missing key of a ConfigMap", spec: auth{ConfigMapTargetRef: target("p", "broker", "u")}, want: "map[p:]", refs: "ConfigMap shop/broker, " + taRef,
			err: `resolving authentication parameter "p": ConfigMap "broker" in namespace "shop" has no key "u"; add the key or correct the reference`,
		},
		{
			name: "a Secret that may not be read", spec: auth{SecretTargetRef: target("p", "forbidden", "pw")}, want: "map[p:]", refs: "Secret shop/forbidden, " + taRef,
			err: `resolving authentication parameter "p": reading Secret "forbidden" in namespace "shop"` + notAllowed,
		},
		{
			name: "a Secret that cannot be read", spec: auth{SecretTargetRef: target("p", "broken", "pw")}, want: "map[p:]", refs: "Secret shop/broken, " + taRef,
			err: `resolving authentication parameter "p": reading Secret "broken" in namespace "shop": connection refused`,
		},
		{
			name: "a variable that is not set", spec: auth{Env: []v1alpha1.EnvRef{{Parameter: "p", Name: "NOPE"}}}, want: "map[p:]", refs: taRef,
			err: `resolving authentication parameter "p": the workload's container does not set environment variable "NOPE"`,
		},
		{
			name: "a container that is not there", spec: auth{Env: []v1alpha1.EnvRef{{Parameter: "p", Name: "PW", ContainerName: "init"}}}, want: "map[p:]", refs: taRef,
			err: `resolving authentication parameter "p": the workload has no container "init"; it has ["first" "second"]`,
		},
		{
			name: "everything wrong at once, and the rest resolved",
			spec: auth{
				FilePath: "x", SecretTargetRef: append(target("p", "gone", "k"), target("q", "broker", "password")...),
				ConfigMapTargetRef: target("u", "broker", "nope"), AzureKeyVault: &v1alpha1.AzureKeyVault{},
				OAuth2: &v1alpha1.OAuth2{TokenURL: "canary", ClientID: "c"},
			},
			want: "map[clientID:c endpointParams: oauthTokenURI:canary p: q:from-secret scopes: u:]",
			refs: "ConfigMap shop/broker, Secret shop/broker, Secret shop/gone, " + taRef,
			err: "filePath is for ClusterTriggerAuthentications only; use secretTargetRef\n" +
				`resolving authentication parameter "u": ConfigMap "broker" in namespace "shop" has no key "nope"; add the key or correct the reference` + "\n" +
				`resolving authentication parameter "p": Secret "gone" in namespace "shop" ` + noBroker + "\n" +
				"authentication source azureKeyVault: it needs credentials, or a podIdentity of provider azure-workload\n" +
				`resolving authentication parameter "oauthTokenURI": oauth2.tokenUrl must be an absolute URL that begins with http:// or https://`,
		},
		{
			name: "an identity", spec: auth{PodIdentity: &v1alpha1.PodIdentity{Provider: "aws", RoleArn: &role, IdentityID: &id}},
			want: "map[] {aws id   arn:aws:iam::1:role/r  keda false}", refs: taRef,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			all := cluster()
			ref := &v1alpha1.AuthenticationRef{Name: "auth"}
			if tc.cluster {
				ref.Kind = v1alpha1.KindClusterTriggerAuthentication
				all.clusterAuths["auth"] = &tc.spec
			} else {
				all.auths["shop/auth"] = &tc.spec
			}
			found, err := kube.Credentials{Objects: all, ClusterNamespace: "weir"}.Resolve(t.Context(), v1alpha1.Trigger{AuthenticationRef: ref}, workload())
			values := found.Values
			got := fmt.Sprint(values.Auth)
			if values.Identity != (param.Identity{}) {
				got += fmt.Sprintf(" %v", values.Identity)
			}
			if got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
			if got := short(found.Refs); got != tc.refs {
				t.Errorf("refs %s, want %s", got, tc.refs)
			}
			if text(err) != tc.err {
				t.Errorf("error\n%v\nwant\n%s", err, tc.err)
			}
			if found.FreshFor != 0 {
				t.Errorf("it is good for %v, want until something changes", found.FreshFor)
			}
			if _, transient := errors.AsType[*kube.TransientError](err); transient != strings.Contains(tc.err, "connection refused") {
				t.Errorf("transient: %v", transient)
			}
		})
	}
}

func TestAuthenticationObjects(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, object, kind, refs, err string }{
		{"found", "auth", "", taRef, ""},
		{"found by its kind", "auth", v1alpha1.KindTriggerAuthentication, taRef, ""},
		{"in another namespace", "other", "", "TriggerAuthentication shop/other", `TriggerAuthentication "other" in namespace "shop" ` + noBroker},
		{"missing in the cluster", "auth", v1alpha1.KindClusterTriggerAuthentication, ctaRef, `ClusterTriggerAuthentication "auth" ` + noBroker},
		{"not to be read", "forbidden", "", "TriggerAuthentication shop/forbidden", `reading TriggerAuthentication "forbidden" in namespace "shop"` + notAllowed},
		{"of an unknown kind", "auth", "Secret", "", "authenticationRef.kind must be TriggerAuthentication or ClusterTriggerAuthentication"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			all := cluster()
			all.auths["shop/auth"], all.auths["other/other"] = &auth{}, &auth{}
			ref := &v1alpha1.AuthenticationRef{Name: tc.object, Kind: tc.kind}
			w := workload()
			w.Name = "worker"
			found, err := kube.Credentials{Objects: all}.Resolve(t.Context(), v1alpha1.Trigger{
				Metadata: map[string]string{"a": "b"}, AuthenticationRef: ref, MetricType: "Value",
			}, w)
			if short(found.Refs) != tc.refs || text(err) != tc.err {
				t.Errorf("refs %s, error %v", short(found.Refs), err)
			}
			if v := found.Values; v.Metadata["a"] != "b" || v.Namespace != "shop" || v.Name != "worker" || v.MetricType != "Value" {
				t.Errorf("got %+v", v)
			}
		})
	}
}

// What an error says must not hold what a Secret holds.
func TestErrorsShowNoSecrets(t *testing.T) {
	t.Parallel()
	all := cluster()
	all.auths["shop/auth"] = &auth{SecretTargetRef: append(target("p", "broker", "password"), target("q", "broker", "nope")...)}
	found, err := kube.Credentials{Objects: all}.Resolve(t.Context(), v1alpha1.Trigger{AuthenticationRef: &v1alpha1.AuthenticationRef{Name: "auth"}}, workload())
	if found.Values.Auth["p"] != "from-secret" || err == nil {
		t.Fatalf("%v, %v", found.Values.Auth, err)
	}
	want := `resolving authentication parameter "q": Secret "broker" in namespace "shop" has no key "nope"; add the key or correct the reference`
	if err.Error() != want {
		t.Errorf("got %v", err)
	}
}
