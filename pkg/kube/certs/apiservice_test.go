package certs_test

import (
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clienttesting "k8s.io/client-go/testing"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	"k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset/fake"

	"github.com/weir-sh/weir/pkg/kube/certs"
)

// apiService returns the object as the manifests bring it.
func apiService(edit ...func(*apiregistrationv1.APIServiceSpec)) *apiregistrationv1.APIService {
	out := &apiregistrationv1.APIService{
		ObjectMeta: metav1.ObjectMeta{Name: certs.ExternalMetricsAPIService, UID: "1"},
		Spec: apiregistrationv1.APIServiceSpec{
			Group: "external.metrics.k8s.io", Version: "v1beta1", GroupPriorityMinimum: 100, VersionPriority: 100,
			Service: &apiregistrationv1.ServiceReference{Namespace: namespace, Name: "weir", Port: new(int32(6443))},
		},
	}
	for _, f := range edit {
		f(&out.Spec)
	}
	return out
}

func keeper(t *testing.T, client *fake.Clientset, source certs.Source, edit ...func(*certs.APIServiceConfig)) *certs.APIService {
	t.Helper()
	cfg := certs.APIServiceConfig{
		Client: client.ApiregistrationV1().APIServices(), Certs: source, Log: slog.New(slog.DiscardHandler),
		Service: types.NamespacedName{Namespace: namespace, Name: "weir"},
	}
	for _, f := range edit {
		f(&cfg)
	}
	a, err := certs.NewAPIService(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func read(t *testing.T, client *fake.Clientset) *apiregistrationv1.APIService {
	t.Helper()
	got, err := client.ApiregistrationV1().APIServices().Get(t.Context(), certs.ExternalMetricsAPIService, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func patches(client *fake.Clientset) (out []clienttesting.PatchAction) {
	for _, action := range client.Actions() {
		if patch, ok := action.(clienttesting.PatchAction); ok {
			out = append(out, patch)
		}
	}
	return out
}

func TestTheBundleIsWrittenOnceAndNothingElse(t *testing.T) {
	_, source := newSource(t)
	client := fake.NewClientset(apiService())
	a := keeper(t, client, source)
	for range 3 {
		if err := a.Ensure(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	got := read(t, client)
	if string(got.Spec.CABundle) != string(source.CABundle()) || got.Spec.InsecureSkipTLSVerify {
		t.Errorf("spec is %+v", got.Spec)
	}
	if s := got.Spec.Service; s.Name != "weir" || *s.Port != 6443 || got.Spec.GroupPriorityMinimum != 100 {
		t.Errorf("other fields changed: %+v", got.Spec)
	}
	written := patches(client)
	if len(written) != 1 || written[0].GetPatchType() != types.ApplyPatchType {
		t.Fatalf("patches: %v", written)
	}
	if body := string(written[0].GetPatch()); strings.Contains(body, "insecureSkipTLSVerify") || strings.Contains(body, "service") {
		t.Errorf("the patch says too much: %s", body)
	}
	for _, m := range got.ManagedFields {
		if fields := m.FieldsV1.GetRawString(); m.Manager == "weir" && fields != `{"f:spec":{"f:caBundle":{}}}` {
			t.Errorf("weir owns %s", fields)
		}
	}
}

func TestAnAPIServiceThatIsNotAsItShouldBe(t *testing.T) {
	foreign := func(s *apiregistrationv1.APIServiceSpec) {
		s.Service = &apiregistrationv1.ServiceReference{Namespace: "keda", Name: "keda-operator-metrics-apiserver", Port: new(int32(443))}
		s.InsecureSkipTLSVerify = true
	}
	const advice = ": a cluster has one provider of external metrics; uninstall the other one and apply weir's manifests again, " +
		"or allow weir to take the APIService over"
	for _, test := range []struct {
		name    string
		objects []runtime.Object
		wantErr string
	}{
		{"missing", nil, "APIService v1beta1.external.metrics.k8s.io does not exist: apply weir's manifests"},
		{"foreign", []runtime.Object{apiService(foreign)}, "APIService v1beta1.external.metrics.k8s.io leads to Service " +
			"keda/keda-operator-metrics-apiserver, not to Service weir-system/weir" + advice},
		{
			"local",
			[]runtime.Object{apiService(func(s *apiregistrationv1.APIServiceSpec) { s.Service = nil })},
			"APIService v1beta1.external.metrics.k8s.io leads to the API server itself, not to Service weir-system/weir" + advice,
		},
		{
			"not verified",
			[]runtime.Object{apiService(func(s *apiregistrationv1.APIServiceSpec) { s.InsecureSkipTLSVerify = true })},
			"APIService v1beta1.external.metrics.k8s.io has spec.insecureSkipTLSVerify, which excludes a CA bundle: " +
				"remove it so that the API server verifies weir's certificate",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, source := newSource(t)
			client := fake.NewClientset(test.objects...)
			err := keeper(t, client, source).Ensure(t.Context())
			if err == nil || err.Error() != test.wantErr {
				t.Errorf("got  %v\nwant %s", err, test.wantErr)
			}
			if _, ok := errors.AsType[*certs.ForeignServiceError](err); ok != strings.Contains(test.wantErr, "leads to") {
				t.Errorf("the error is a %T", err)
			}
			if got := patches(client); len(got) != 0 {
				t.Errorf("it was written: %v", got)
			}
		})
	}
	t.Run("foreign, with leave to take over", func(t *testing.T) {
		_, source := newSource(t)
		client := fake.NewClientset(apiService(foreign))
		a := keeper(t, client, source, func(c *certs.APIServiceConfig) { c.TakeOver = true })
		if err := a.Ensure(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := read(t, client).Spec
		if got.Service.Namespace != namespace || got.Service.Name != "weir" || *got.Service.Port != 443 ||
			got.InsecureSkipTLSVerify || string(got.CABundle) != string(source.CABundle()) {
			t.Errorf("spec is %+v, service %+v", got, got.Service)
		}
	})
}

func TestAReplicaThatMissedARenewalDoesNotUndoIt(t *testing.T) {
	s, late := newSource(t)
	s.remove() // somebody starts from nothing
	other := selfSigned(t, s)
	load(t, other)
	client := fake.NewClientset(apiService(func(spec *apiregistrationv1.APIServiceSpec) { spec.CABundle = other.CABundle() }))
	if err := keeper(t, client, late).Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := patches(client); len(got) != 0 {
		t.Errorf("the newer bundle was overwritten: %v", got)
	}
	if string(late.CABundle()) != string(other.CABundle()) {
		t.Error("the replica did not take the renewal over")
	}
}

func TestTheAPIServiceFollowsTheSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, log := &store{}, &lines{}
		source := selfSigned(t, s)
		client := fake.NewClientset(apiService())
		var mu sync.Mutex // guards down
		down := true
		client.PrependReactor("patch", "apiservices", func(clienttesting.Action) (bool, runtime.Object, error) {
			mu.Lock()
			defer mu.Unlock()
			return down, nil, apierrors.NewServiceUnavailable("etcd is away")
		})
		a := keeper(t, client, source, func(c *certs.APIServiceConfig) { c.Log = logTo(log) })
		start(t, a.Run)
		synctest.Wait()
		if got := client.Actions(); len(got) != 0 {
			t.Errorf("without a certificate: %v", got)
		}
		load(t, source)
		time.Sleep(30 * time.Second)
		if got, want := log.take(), `level=WARN msg="certificate upkeep failed, trying again" `+
			`err="applying APIService v1beta1.external.metrics.k8s.io: etcd is away"`+"\n"; got != want {
			t.Errorf("while the API server fails: %swant %s", got, want)
		}
		mu.Lock()
		down = false
		mu.Unlock()
		time.Sleep(time.Minute)
		if string(read(t, client).Spec.CABundle) != string(source.CABundle()) {
			t.Error("the bundle was not written after the API server came back")
		}
		s.remove()
		load(t, source) // a new authority
		synctest.Wait() // no time passes
		if string(read(t, client).Spec.CABundle) != string(source.CABundle()) {
			t.Error("the new bundle was not written at once")
		}
		written := len(patches(client))
		time.Sleep(24 * time.Hour)
		if got := len(patches(client)); got != written {
			t.Errorf("%d writes in a day of rest", got-written)
		}
	})
}
