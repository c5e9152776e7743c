package kube_test

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/kube"
)

func plain(name, value string) corev1.EnvVar { return corev1.EnvVar{Name: name, Value: value} }

func fromSecret(name, secret, key string, optional ...bool) corev1.EnvVar {
	ref := &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: secret}, Key: key}
	for _, o := range optional {
		ref.Optional = &o
	}
	return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{SecretKeyRef: ref}}
}

func fromMap(name, configMap, key string, optional ...bool) corev1.EnvVar {
	ref := &corev1.ConfigMapKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: configMap}, Key: key}
	for _, o := range optional {
		ref.Optional = &o
	}
	return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: ref}}
}

func allOfSecret(name string, optional ...bool) corev1.EnvFromSource {
	ref := &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: name}}
	for _, o := range optional {
		ref.Optional = &o
	}
	return corev1.EnvFromSource{SecretRef: ref}
}

func allOfMap(name, prefix string, optional ...bool) corev1.EnvFromSource {
	ref := &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: name}}
	for _, o := range optional {
		ref.Optional = &o
	}
	return corev1.EnvFromSource{Prefix: prefix, ConfigMapRef: ref}
}

// Each row asks for variable X of a container.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	type env = []corev1.EnvVar
	type from = []corev1.EnvFromSource
	const variable, source = `resolving environment variable "X" of container "c": `, `resolving envFrom of container "c": `
	for _, tc := range []struct {
		name  string
		from  from
		env   env
		want  string // "-" when X is not set
		reads string
		err   string
	}{
		{name: "nothing", want: "-"},
		{name: "a plain value", env: env{plain("X", "v")}, want: "v"},
		{name: "an empty value", env: env{plain("X", "")}, want: ""},
		{name: "the later of two", env: env{plain("X", "1"), plain("X", "2")}, want: "2"},
		{name: "a key of a Secret", env: env{fromSecret("X", "s", "X")}, want: "secret", reads: "Secret shop/s"},
		{name: "a key of a ConfigMap", env: env{fromMap("X", "m", "X")}, want: "map", reads: "ConfigMap shop/m"},
		{name: "all of a Secret", from: from{allOfSecret("s")}, want: "secret", reads: "Secret shop/s"},
		{name: "all of a ConfigMap", from: from{allOfMap("m", "")}, want: "map", reads: "ConfigMap shop/m"},
		{name: "all with a prefix", from: from{allOfMap("prefixed", "X_")}, env: env{plain("X", "$(X_A)")}, want: "a", reads: "ConfigMap shop/prefixed"},
		{name: "a prefix that does not fit", from: from{allOfMap("m", "P_")}, want: "-", reads: "ConfigMap shop/m"},
		{name: "the later source", from: from{allOfSecret("s"), allOfMap("m", "")}, want: "map", reads: "ConfigMap shop/m, Secret shop/s"},
		{name: "env wins over envFrom, which is not read", from: from{allOfSecret("gone")}, env: env{plain("X", "v")}, want: "v"},
		{name: "a field of the pod is not known", env: env{{Name: "X", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "status.podIP"}}}}, want: "-"},
		{
			name: "only what is needed is read", env: env{fromSecret("A", "gone", "a"), fromSecret("X", "s", "X"), fromMap("B", "gone", "b")},
			want: "secret", reads: "Secret shop/s",
		},

		{name: "a missing Secret", env: env{fromSecret("X", "gone", "k")}, want: "-", reads: "Secret shop/gone", err: variable + `Secret "gone" in namespace "shop" ` + noBroker},
		{
			name: "a missing key", env: env{fromSecret("X", "s", "k")}, want: "-", reads: "Secret shop/s",
			err: variable + `Secret "s" in namespace "shop" has no key "k"; add the key or correct the reference`,
		},
		{name: "a missing ConfigMap", env: env{fromMap("X", "gone", "k")}, want: "-", reads: "ConfigMap shop/gone", err: variable + `ConfigMap "gone" in namespace "shop" ` + noBroker},
		{
			name: "a missing key of a ConfigMap", env: env{fromMap("X", "m", "k", false)}, want: "-", reads: "ConfigMap shop/m",
			err: variable + `ConfigMap "m" in namespace "shop" has no key "k"; add the key or correct the reference`,
		},
		{name: "an optional missing Secret", env: env{fromSecret("X", "gone", "k", true)}, want: "-", reads: "Secret shop/gone"},
		{name: "an optional missing key", env: env{fromMap("X", "m", "k", true)}, want: "-", reads: "ConfigMap shop/m"},
		{name: "an optional one that is there", env: env{fromSecret("X", "s", "X", true)}, want: "secret", reads: "Secret shop/s"},
		{name: "optional is no excuse for what cannot be read", env: env{fromSecret("X", "forbidden", "k", true)}, want: "-", reads: "Secret shop/forbidden", err: variable + `reading Secret "forbidden" in namespace "shop"` + notAllowed},
		{name: "an optional missing key leaves envFrom", from: from{allOfMap("m", "")}, env: env{fromSecret("X", "gone", "k", true)}, want: "map", reads: "ConfigMap shop/m, Secret shop/gone"},
		{name: "a missing source", from: from{allOfSecret("gone"), allOfMap("m", "")}, want: "map", reads: "ConfigMap shop/m, Secret shop/gone", err: source + `Secret "gone" in namespace "shop" ` + noBroker},
		{name: "optional missing sources", from: from{allOfSecret("gone", true), allOfMap("gone", "", true)}, want: "-", reads: "ConfigMap shop/gone, Secret shop/gone"},
		{
			name: "two that are missing", env: env{fromSecret("A", "gone", "a"), fromMap("B", "gone", "b"), plain("X", "$(A)$(B)")}, want: "$(A)$(B)", reads: "ConfigMap shop/gone, Secret shop/gone",
			err: `resolving environment variable "A" of container "c": Secret "gone" in namespace "shop" ` + noBroker + "\n" +
				`resolving environment variable "B" of container "c": ConfigMap "gone" in namespace "shop" ` + noBroker,
		},

		{name: "another variable", env: env{plain("A", "a"), plain("X", "<$(A)>")}, want: "<a>"},
		{name: "a chain of variables", env: env{fromSecret("A", "s", "X"), plain("B", "$(A)!"), plain("X", "$(B)$(A)")}, want: "secret!secret", reads: "Secret shop/s"},
		{name: "a variable of envFrom", from: from{allOfMap("m", "")}, env: env{plain("Y", "$(X)"), plain("X", "<$(X)>")}, want: "<map>", reads: "ConfigMap shop/m"},
		{name: "a variable of envFrom that env sets later", from: from{allOfMap("letters", "")}, env: env{plain("X", "$(A)"), plain("A", "later")}, want: "a", reads: "ConfigMap shop/letters"},
		{name: "a variable that is set later", env: env{plain("X", "$(A)"), plain("A", "a")}, want: "$(A)"},
		{name: "a variable that is not set", env: env{plain("X", "$(NOPE)")}, want: "$(NOPE)"},
		{name: "itself", env: env{plain("X", "$(X)")}, want: "$(X)"},
		{name: "itself from before", env: env{plain("X", "1"), plain("X", "$(X)2")}, want: "12"},
		{name: "what a Secret holds is not expanded", env: env{plain("A", "a"), fromSecret("X", "s", "dollars")}, want: "$(A)$$", reads: "Secret shop/s"},
		{name: "an escaped reference", env: env{plain("A", "a"), plain("X", "$$(A)")}, want: "$(A)"},
		{name: "an escaped dollar before a reference", env: env{plain("A", "a"), plain("X", "$$$(A)")}, want: "$a"},
		{name: "dollars", env: env{plain("X", "$ $x $$ $")}, want: "$ $x $ $"},
		{name: "no end", env: env{plain("A", "a"), plain("X", "$(A $(A")}, want: "$(A $(A"},
		{name: "no name", env: env{plain("X", "$()")}, want: "$()"},
		{name: "a reference in a reference", env: env{plain("A", "a"), plain("X", "$($(A))")}, want: "$($(A))"},
		{name: "an end without a beginning", env: env{plain("A", "a"), plain("X", ")$(A)(")}, want: ")a("},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			all := &objects{
				secrets: map[string]map[string][]byte{"shop/s": {"X": []byte("secret"), "dollars": []byte("$(A)$$")}},
				configMaps: map[string]map[string]string{
					"shop/m": {"X": "map"}, "shop/prefixed": {"A": "a"}, "shop/letters": {"A": "a"},
				},
			}
			w := kube.Workload{Namespace: "shop", Pod: &corev1.PodSpec{Containers: []corev1.Container{{Name: "c", EnvFrom: tc.from, Env: tc.env}}}}
			found, err := kube.Credentials{Objects: all}.Resolve(t.Context(), v1alpha1.Trigger{Metadata: map[string]string{"hostFromEnv": " X "}}, w)
			got, ok := found.Values.Env["X"]
			if !ok {
				got = "-"
			}
			if got != tc.want || text(err) != tc.err {
				t.Errorf("got %q, %v; want %q, %s", got, err, tc.want, tc.err)
			}
			if short(found.Refs) != tc.reads || all.reads() != tc.reads {
				t.Errorf("refs %s, read %s; want %s", short(found.Refs), all.reads(), tc.reads)
			}
		})
	}
}

func TestTheContainerWithTheEnvironment(t *testing.T) {
	t.Parallel()
	asks := map[string]string{"hostFromEnv": "PW"}
	for _, tc := range []struct {
		name      string
		metadata  map[string]string
		container string
		pod       *corev1.PodSpec
		want, err string
	}{
		{"the first", asks, "", workload().Pod, "from-first", ""},
		{"by name", asks, "second", workload().Pod, "from-second", ""},
		{"not an init container", asks, "init", workload().Pod, "", `the workload has no container "init"; it has ["first" "second"]`},
		{"no containers", asks, "", &corev1.PodSpec{}, "", "the workload has no pod template with containers to take the environment from"},
		{"no pod template", asks, "", nil, "", ""},
		{"nobody asks", map[string]string{"host": "PW", "FromEnvironment": "PW", "emptyFromEnv": " "}, "init", workload().Pod, "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := kube.Workload{Namespace: "shop", Pod: tc.pod, Container: tc.container}
			got, err := kube.Credentials{Objects: cluster()}.Resolve(t.Context(), v1alpha1.Trigger{Metadata: tc.metadata}, w)
			if got.Values.Env["PW"] != tc.want || text(err) != tc.err || len(got.Refs) > 0 {
				t.Errorf("got %q, %v, %v", got.Values.Env["PW"], got.Refs, err)
			}
		})
	}
}

// Whatever a value holds, expansion ends, and text without dollars is kept.
func FuzzExpansion(f *testing.F) {
	for _, s := range []string{"", "$", "$$", "$(A)", "$($(A))", "$(", "$()", "a$(A)$$(B)$", "$$$$(A", "\x00$(\x00)", "$(A)$(A)$(A)"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		w := kube.Workload{Pod: &corev1.PodSpec{Containers: []corev1.Container{{Env: []corev1.EnvVar{plain("A", "va"), plain("X", value)}}}}}
		found, err := kube.Credentials{Objects: &objects{}}.Resolve(t.Context(), v1alpha1.Trigger{Metadata: map[string]string{"hostFromEnv": "X"}}, w)
		if err != nil {
			t.Fatal(err)
		}
		got := found.Values.Env["X"]
		if want := expanded(value); got != want {
			t.Errorf("%q: got %q, want %q", value, got, want)
		}
	})
}

// expanded is another way to say what $(A) and $$ mean.
func expanded(s string) string {
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		rest := s[i:]
		end := strings.Index(rest, ")")
		switch {
		case strings.HasPrefix(rest, "$$"):
			out.WriteString("$")
			i++
		case strings.HasPrefix(rest, "$(") && end > 0:
			if name := rest[2:end]; name == "A" {
				out.WriteString("va")
			} else {
				fmt.Fprintf(&out, "$(%s)", name)
			}
			i += end
		default:
			out.WriteByte(s[i])
		}
	}
	return out.String()
}
