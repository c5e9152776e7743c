package serviceaccount_test

import (
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/weir-sh/weir/pkg/kube/secretstore"
	"github.com/weir-sh/weir/pkg/kube/secretstore/serviceaccount"
	"github.com/weir-sh/weir/pkg/scalers"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server issues tokens that live for cut, or as long as is asked for; or fails.
func server(cut time.Duration, err error) (*fake.Clientset, *[]string) {
	client, asked := fake.NewClientset(), new([]string)
	client.PrependReactor("create", "serviceaccounts", func(a clienttesting.Action) (bool, runtime.Object, error) {
		create := a.(clienttesting.CreateActionImpl)                   //nolint:forcetypeassert // by its verb
		request := create.GetObject().(*authenticationv1.TokenRequest) //nolint:forcetypeassert // by its subresource
		*asked = append(*asked, fmt.Sprintf("%s %s/%s %s %d", create.GetSubresource(), create.GetNamespace(), create.Name, request.Spec.Audiences, *request.Spec.ExpirationSeconds))
		if err != nil {
			return true, nil, err
		}
		life := time.Duration(*request.Spec.ExpirationSeconds) * time.Second
		if cut > 0 {
			life = cut
		}
		return true, &authenticationv1.TokenRequest{Status: authenticationv1.TokenRequestStatus{
			Token: fmt.Sprintf("canary-%d", len(*asked)), ExpirationTimestamp: metav1.NewTime(time.Now().Add(life)),
		}}, nil
	})
	return client, asked
}

func TestTokensAreRenewedBeforeTheyEnd(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		lifetime, cut time.Duration
		want          string
		fresh         time.Duration
	}{
		{0, 0, "[token shop/worker [] 3600 token shop/worker [] 3600]", 48 * time.Minute},
		{5 * time.Hour, 0, "[token shop/worker [] 18000 token shop/worker [] 18000]", 4 * time.Hour},
		{5 * time.Hour, time.Hour, "[token shop/worker [] 18000 token shop/worker [] 18000]", 48 * time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			client, asked := server(tc.cut, nil)
			tokens, err := serviceaccount.New(client, tc.lifetime)
			if err != nil {
				t.Fatal(err)
			}
			cache := secretstore.New(tokens, secretstore.Config{Log: slog.New(slog.DiscardHandler)})
			for i, want := range []string{"canary-1", "canary-1", "canary-2"} {
				got, err := cache.Read(t.Context(), secretstore.NoLogin{}, secretstore.ServiceAccount{Namespace: "shop", Name: "worker", UID: "1"})
				if err != nil || got.Fields[""] != want {
					t.Errorf("got %v, %v", got, err)
				}
				if i != 1 && got.FreshFor != tc.fresh {
					t.Errorf("fresh for %v, want %v", got.FreshFor, tc.fresh)
				}
				time.Sleep(tc.fresh / 2)
			}
			token, err := serviceaccount.From(cache)(t.Context(), secretstore.ServiceAccount{Namespace: "shop", Name: "worker", UID: "1"})
			if err != nil || token.Reveal() != "canary-2" {
				t.Errorf("got %v, %v", token, err)
			}
			if got := fmt.Sprint(*asked); got != tc.want {
				t.Errorf("asked %s, want %s", got, tc.want)
			}
			if err := cache.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestTokensThatAreNotIssued(t *testing.T) {
	t.Parallel()
	resource := schema.GroupResource{Resource: "serviceaccounts"}
	const op = `requesting a token for ServiceAccount "worker" in namespace "shop": `
	for want, err := range map[string]error{
		"NotFound: " + op + "it does not exist; create it or correct the reference":                                              apierrors.NewNotFound(resource, "worker"),
		"Unauthorized: " + op + "weir is not allowed to; grant its service account create on serviceaccounts/token of that name": apierrors.NewForbidden(resource, "worker", errors.New("no role")),
		"Unreachable: " + op + "boom": errors.New("boom"),
	} {
		client, _ := server(0, err)
		tokens, err := serviceaccount.New(client, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, err = tokens.Read(t.Context(), secretstore.ServiceAccount{Namespace: "shop", Name: "worker"})
		if got := fmt.Sprintf("%s: %v", scalers.KindOf(err), err); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestTheLifetimeHasBounds(t *testing.T) {
	t.Parallel()
	for _, d := range []time.Duration{time.Hour - 1, 6*time.Hour + 1, -1} {
		if _, err := serviceaccount.New(fake.NewClientset(), d); err == nil || err.Error() != "the lifetime of service account tokens must be between 1h0m0s and 6h0m0s" {
			t.Errorf("%v: %v", d, err)
		}
	}
}
