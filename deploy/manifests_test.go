// Package deploy_test checks the manifests that users apply: those here and those
// of examples.
package deploy_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
)

// decoder refuses fields that the API server does not know.
func decoder(t *testing.T) runtime.Decoder {
	t.Helper()
	scheme := runtime.NewScheme()
	err := errors.Join(
		clientgoscheme.AddToScheme(scheme), apiextensionsv1.AddToScheme(scheme),
		apiregistrationv1.AddToScheme(scheme), v1alpha1.AddToScheme(scheme),
	)
	if err != nil {
		t.Fatal(err)
	}
	return serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
}

// load returns the objects of files, in their order.
func load(t *testing.T, files ...string) []client.Object {
	t.Helper()
	decode := decoder(t)
	var out []client.Object
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i, doc := range bytes.Split(text, []byte("\n---\n")) {
			var content map[string]any
			if err := yaml.Unmarshal(doc, &content); err != nil {
				t.Fatalf("%s, document %d: %v", file, i+1, err)
			}
			if content == nil {
				continue // comments
			}
			object, _, err := decode.Decode(doc, nil, nil)
			if err != nil {
				t.Fatalf("%s, document %d: %v", file, i+1, err)
			}
			known, ok := object.(client.Object)
			if !ok {
				t.Fatalf("%s, document %d: a %T is no single object", file, i+1, object)
			}
			out = append(out, known)
		}
	}
	if len(out) == 0 {
		t.Fatalf("no objects in %v", files)
	}
	return out
}

// listed returns the files of the kustomization.
func listed(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("kustomization.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var list struct{ Resources []string }
	if err := yaml.Unmarshal(text, &list); err != nil {
		t.Fatal(err)
	}
	return list.Resources
}

// one returns the only object of type T, of that name unless it is empty.
func one[T client.Object](t *testing.T, objects []client.Object, name string) T {
	t.Helper()
	var found []T
	for _, o := range objects {
		if typed, ok := o.(T); ok && (name == "" || o.GetName() == name) {
			found = append(found, typed)
		}
	}
	if len(found) != 1 {
		var none T
		t.Fatalf("%d objects of type %T named %q, want 1", len(found), none, name)
	}
	return found[0]
}

func TestEveryManifestIsInTheBase(t *testing.T) {
	want := listed(t)
	slices.Sort(want)
	var have []string
	for _, dir := range []string{"base", "crds"} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && strings.HasSuffix(d.Name(), ".yaml") {
				have = append(have, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(have)
	if !slices.Equal(have, want) {
		t.Errorf("files are\n%q\nkustomization.yaml lists\n%q", have, want)
	}
}

func TestTheSingleFileHoldsWhatTheBaseHolds(t *testing.T) {
	base, single := load(t, listed(t)...), load(t, "weir.yaml")
	if len(base) != len(single) {
		t.Fatalf("weir.yaml has %d objects, the base %d; run make generate", len(single), len(base))
	}
	for i := range base {
		if !equality.Semantic.DeepEqual(base[i], single[i]) {
			t.Errorf("object %d (%T %q) differs in weir.yaml; run make generate", i+1, base[i], base[i].GetName())
		}
	}
}

// TestEverythingIsInstalledInOneGo: kubectl applies in the order of the file.
func TestEverythingIsInstalledInOneGo(t *testing.T) {
	objects := load(t, "weir.yaml")
	if kind := objects[0].GetObjectKind().GroupVersionKind().Kind; kind != "Namespace" {
		t.Errorf("the first object is a %s, want the Namespace that others are in", kind)
	}
	seen := map[string]bool{}
	for _, o := range objects {
		kind := o.GetObjectKind().GroupVersionKind()
		id := kind.GroupKind().String() + " " + o.GetNamespace() + "/" + o.GetName()
		if seen[id] {
			t.Errorf("%s is there twice", id)
		}
		seen[id] = true
		if kind.Group == v1alpha1.GroupVersion.Group {
			t.Errorf("%s is of a kind that its own file defines, which may not be served yet", id)
		}
		if o.GetLabels()["app.kubernetes.io/name"] != "weir" && kind.Kind != "CustomResourceDefinition" {
			t.Errorf("%s has no label app.kubernetes.io/name=weir", id)
		}
	}
}
