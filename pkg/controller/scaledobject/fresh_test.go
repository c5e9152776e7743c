package scaledobject_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/kube/secretstore"
	"github.com/weir-sh/weir/pkg/scalers"
)

// tokens gives another token each time, good for a minute.
type tokens struct {
	given int
	err   error
}

// Read implements secretstore.Reader.
func (s *tokens) Read(context.Context, secretstore.NoLogin, secretstore.ServiceAccount) (secretstore.Reading, error) {
	if s.err != nil {
		return secretstore.Reading{FreshFor: 5 * time.Second}, s.err
	}
	s.given++
	return secretstore.Reading{Fields: map[string]string{"": fmt.Sprint("token-", s.given)}, FreshFor: time.Minute}, nil
}

// withToken is a ScaledObject whose trigger has the token of a service account as
// its password.
func withToken(t *testing.T, from *tokens) *world {
	t.Helper()
	so := scaledObject("so", func(so *v1alpha1.ScaledObject) {
		so.Spec.Triggers[0].AuthenticationRef = &v1alpha1.AuthenticationRef{Name: "auth"}
	})
	w := newWorld(t, so, deployment("web", 0),
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "reader"}},
		&v1alpha1.TriggerAuthentication{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "auth"}, Spec: v1alpha1.TriggerAuthenticationSpec{
			BoundServiceAccountToken: []v1alpha1.BoundServiceAccountToken{{Parameter: "password", ServiceAccountName: "reader"}},
		}})
	w.stores.Tokens = from
	w.restart()
	return w
}

// measures reports whether the object's one query has this password.
func (w *world) measures(password string) bool {
	w.T.Helper()
	uses := w.engine.Uses["scaledobject/ns/so"]
	return len(uses) == 1 && uses[0].Query == w.query("jobs", password)
}

func TestCredentialsThatGoStaleAreResolvedAnew(t *testing.T) {
	t.Parallel()
	w := withToken(t, &tokens{})
	if after := w.pass("so"); after <= 0 || after > time.Minute {
		t.Errorf("looked at again after %s, though the token is good for a minute", after)
	}
	if !w.measures("token-1") {
		t.Fatalf("measured: %v", w.engine.Uses)
	}
	w.now = w.now.Add(59 * time.Second)
	w.pass("so")
	if !w.measures("token-1") {
		t.Error("the token was replaced while it was good")
	}
	w.now = w.now.Add(time.Second)
	w.pass("so")
	if !w.measures("token-2") {
		t.Error("the old token is used after its time")
	}
}

func TestAStoreThatDoesNotAnswerChangesNothing(t *testing.T) {
	t.Parallel()
	from := &tokens{}
	w := withToken(t, from)
	w.settles("so")
	w.now = w.now.Add(time.Minute)
	from.err = &scalers.Error{Kind: scalers.Unreachable, Op: "requesting a token", Err: errors.New("no answer")}
	if after := w.pass("so"); after <= 0 || after > 5*time.Second {
		t.Errorf("tried again after %s, though the store says 5 s", after)
	}
	if got := w.condition("so", v1alpha1.ConditionReady); !strings.Contains(got, "requesting a token: no answer") {
		t.Errorf("the condition does not say why: %s", got)
	}
	if !w.measures("token-1") {
		t.Error("what was in force is not any more")
	}
	from.err, w.now = nil, w.now.Add(5*time.Second)
	w.pass("so")
	if !w.measures("token-2") {
		t.Error("it does not recover")
	}
}

func TestASecretThatCannotBeReadChangesNothing(t *testing.T) {
	t.Parallel()
	so := scaledObject("so", func(so *v1alpha1.ScaledObject) {
		so.Spec.Triggers[0].AuthenticationRef = &v1alpha1.AuthenticationRef{Name: "auth"}
	})
	w := newWorld(t, so, deployment("web", 0),
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "keys"}, Data: map[string][]byte{"p": []byte("one")}},
		&v1alpha1.TriggerAuthentication{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "auth"}, Spec: v1alpha1.TriggerAuthenticationSpec{
			SecretTargetRef: []v1alpha1.TargetRef{{Parameter: "password", Name: "keys", Key: "p"}},
		}})
	w.settles("so")
	if !w.measures("one") {
		t.Fatalf("measured: %v", w.engine.Uses)
	}
	w.Fail = func(call string) error {
		if call == "get Secret keys" {
			return errors.New("the API server is away")
		}
		return nil
	}
	w.edits("so", func(so *v1alpha1.ScaledObject) { so.Spec.MaxReplicaCount = new(int32(7)) })
	w.failing("so")
	if !w.measures("one") {
		t.Error("what was in force is not any more")
	}
	w.Fail = nil
	if err := w.api.Delete(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "keys"}}, &client.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.pass("so")
	if got := w.condition("so", v1alpha1.ConditionReady); !strings.Contains(got, `Secret "keys" in namespace "ns" does not exist`) {
		t.Errorf("after it was deleted: %s", got)
	}
}
