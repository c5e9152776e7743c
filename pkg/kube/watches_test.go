package kube_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/weir-sh/weir/pkg/kube"
)

// server is an API server with Secrets, ConfigMaps and ServiceAccounts, by "secrets/name", and
// what happens in it. All of it lives in one bubble of virtual time.
type server struct {
	t       *testing.T
	client  *fake.Clientset
	watches *kube.Watches
	stop    func()

	mu      sync.Mutex
	version int
	objects map[string]runtime.Object
	down    error // what every request is answered with
	streams map[string][]*watch.RaceFreeFakeWatcher
	asked   []string // requests
	told    []string // owners that were told of a change
}

// start runs Watches against a server; it must be called in a bubble.
func start(t *testing.T) *server {
	t.Helper()
	s := &server{t: t, client: fake.NewClientset(), objects: map[string]runtime.Object{}, streams: map[string][]*watch.RaceFreeFakeWatcher{}}
	s.client.PrependReactor("get", "*", func(a clienttesting.Action) (bool, runtime.Object, error) {
		name := a.(clienttesting.GetAction).GetName() //nolint:forcetypeassert // by its verb
		o, err := s.get(a, name)
		return true, o, err
	})
	s.client.PrependWatchReactor("*", func(a clienttesting.Action) (bool, watch.Interface, error) {
		w, err := s.watch(a)
		return true, w, err
	})
	s.watches = kube.NewWatches(s.client, s.changed, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.watches.Run(ctx) }()
	s.stop = sync.OnceFunc(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(s.stop)
	synctest.Wait()
	return s
}

func (s *server) changed(owners []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	slices.Sort(owners)
	s.told = append(s.told, strings.Join(owners, "+"))
}

func (s *server) get(a clienttesting.Action, name string) (runtime.Object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := a.GetResource().Resource + "/" + name
	s.asked = append(s.asked, "get "+a.GetNamespace()+" "+key)
	if s.down != nil {
		return nil, s.down
	}
	if o := s.objects[key]; o != nil {
		return o.DeepCopyObject(), nil
	}
	return nil, apierrors.NewNotFound(a.GetResource().GroupResource(), name)
}

func (s *server) watch(a clienttesting.Action) (watch.Interface, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	selector := a.(clienttesting.WatchAction).GetWatchRestrictions().Fields.String() //nolint:forcetypeassert // by its verb
	key := a.GetResource().Resource + "/" + strings.TrimPrefix(selector, "metadata.name=")
	s.asked = append(s.asked, "watch "+a.GetNamespace()+" "+key)
	if s.down != nil {
		return nil, s.down
	}
	w := watch.NewRaceFreeFake()
	s.streams[key] = append(s.streams[key], w)
	if o := s.objects[key]; o != nil {
		w.Add(o.DeepCopyObject()) // a watch without version begins with what there is
	}
	return w, nil
}

// put writes an object and tells the watches; an empty value deletes it.
func (s *server) put(key, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version++
	resource, name, _ := strings.Cut(key, "/")
	meta := metav1.ObjectMeta{Name: name, Namespace: "shop", ResourceVersion: strconv.Itoa(s.version)}
	var o runtime.Object = &corev1.Secret{ObjectMeta: meta, Data: map[string][]byte{"k": []byte(value)}}
	switch resource {
	case "configmaps":
		o = &corev1.ConfigMap{ObjectMeta: meta, Data: map[string]string{"k": value}}
	case "serviceaccounts":
		meta.Annotations = map[string]string{"k": value}
		o = &corev1.ServiceAccount{ObjectMeta: meta}
	}
	was := s.objects[key]
	if s.objects[key] = o; value == "" {
		delete(s.objects, key)
	}
	for _, w := range s.streams[key] {
		switch {
		case w.IsStopped():
		case value == "":
			w.Delete(was)
		case was == nil:
			w.Add(o.DeepCopyObject())
		default:
			w.Modify(o.DeepCopyObject())
		}
	}
}

// breakStreams ends all watches, as an API server does that goes away.
func (s *server) breakStreams(down error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
	for _, all := range s.streams {
		for _, w := range all {
			w.Stop()
		}
	}
}

func (s *server) recover() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = nil
}

// open counts the watches that are open.
func (s *server) open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, all := range s.streams {
		for _, w := range all {
			if !w.IsStopped() {
				n++
			}
		}
	}
	return n
}

// events returns who was told since the last call, once everything has settled.
func (s *server) events() string {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	told := strings.Join(s.told, " ")
	s.told = nil
	return told
}

// secret reads Secret "s": its value, or the error.
func (s *server) secret() string {
	data, err := s.watches.Secret(s.t.Context(), "shop", "s")
	switch {
	case apierrors.IsNotFound(err):
		return notThere
	case err != nil:
		return err.Error()
	}
	return string(data["k"])
}

// want checks what a read gives and who has been told of changes before.
func (s *server) want(value, told string) {
	s.t.Helper()
	if got := s.events(); got != told {
		s.t.Errorf("told %q, want %q", got, told)
	}
	if got := s.secret(); got != value {
		s.t.Errorf("read %q, want %q", got, value)
	}
}

func secretRef() []kube.Ref { return []kube.Ref{{Kind: kube.KindSecret, Namespace: "shop", Name: "s"}} }

const notThere = "not found"

// bubble runs f with a server in virtual time.
func bubble(t *testing.T, f func(*server)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { f(start(t)) })
}

func TestChangesAreToldToWhoRefers(t *testing.T) {
	bubble(t, func(s *server) {
		s.put("secrets/s", "1")
		s.want("1", "")
		s.watches.Set("a", secretRef())
		s.watches.Set("b", secretRef())
		s.put("secrets/s", "2")
		s.want("2", "a+b")
		s.put("secrets/s", "")
		s.want(notThere, "a+b")
		s.put("secrets/s", "3")
		s.want("3", "a+b")
		s.watches.Set("a", nil)
		s.put("secrets/s", "4")
		s.want("4", "b")
	})
}

func TestServiceAccountsAreWatchedToo(t *testing.T) {
	bubble(t, func(s *server) {
		ref := []kube.Ref{{Kind: kube.KindServiceAccount, Namespace: "shop", Name: "a"}}
		if _, err := s.watches.ServiceAccount(s.t.Context(), "shop", "a"); !apierrors.IsNotFound(err) {
			s.t.Errorf("got %v", err)
		}
		s.watches.Set("o", ref)
		s.put("serviceaccounts/a", "arn")
		if got := s.events(); got != "o" {
			s.t.Errorf("told %q", got)
		}
		a, err := s.watches.ServiceAccount(s.t.Context(), "shop", "a")
		if err != nil || a.Annotations["k"] != "arn" {
			s.t.Errorf("got %v, %v", a, err)
		}
	})
}

func TestAMissingObjectIsWaitedFor(t *testing.T) {
	bubble(t, func(s *server) {
		s.want(notThere, "")
		s.watches.Set("a", secretRef())
		s.want(notThere, "")
		s.put("secrets/s", "1")
		s.want("1", "a")
	})
}

func TestOnlyWhatIsReferredToIsRead(t *testing.T) {
	bubble(t, func(s *server) {
		s.put("secrets/s", "1")
		s.put("secrets/other", "1")
		s.put("configmaps/s", "map")
		s.want("1", "")
		data, err := s.watches.ConfigMap(s.t.Context(), "shop", "s")
		if err != nil || data["k"] != "map" {
			s.t.Errorf("%v, %v", data, err)
		}
		if _, err := s.watches.ConfigMap(s.t.Context(), "shop", "gone"); !apierrors.IsNotFound(err) {
			s.t.Errorf("a missing ConfigMap: %v", err)
		}
		for range 3 {
			s.want("1", "")
		}
		s.watches.Set("a", append(secretRef(), kube.Ref{Kind: "TriggerAuthentication", Namespace: "shop", Name: "t"}))
		synctest.Wait()
		slices.Sort(s.asked)
		want := "get shop configmaps/gone, get shop configmaps/s, get shop secrets/s, watch shop configmaps/gone, watch shop configmaps/s, watch shop secrets/s"
		if got := strings.Join(s.asked, ", "); got != want {
			s.t.Errorf("requests\n%s\nwant\n%s", got, want)
		}
	})
}

func TestTheLastOwnerTakesTheWatchAlong(t *testing.T) {
	bubble(t, func(s *server) {
		s.put("secrets/s", "1")
		s.want("1", "")
		s.watches.Set("a", append(secretRef(), secretRef()...))
		s.watches.Set("b", secretRef())
		s.watches.Set("a", secretRef())
		s.watches.Set("a", nil)
		s.watches.Set("a", nil)
		if synctest.Wait(); s.open() != 1 {
			s.t.Errorf("%d watches while b refers", s.open())
		}
		s.watches.Set("b", nil)
		if synctest.Wait(); s.open() != 0 {
			s.t.Errorf("%d watches without owners", s.open())
		}
		s.put("secrets/s", "2")
		s.want("2", "") // read anew
	})
}

// Between an owner's read and its Set, the object may change or be forgotten.
func TestNothingIsLostBetweenReadAndSet(t *testing.T) {
	t.Run("the object changes", func(t *testing.T) {
		bubble(t, func(s *server) {
			s.put("secrets/s", "1")
			s.want("1", "")
			s.put("secrets/s", "2")
			synctest.Wait()
			s.watches.Set("a", secretRef())
			s.want("2", "a")
			s.watches.Set("a", secretRef())
			s.want("2", "") // once is enough
		})
	})
	t.Run("the last other owner leaves, and the object changes", func(t *testing.T) {
		bubble(t, func(s *server) {
			s.put("secrets/s", "1")
			s.want("1", "")
			s.watches.Set("b", secretRef())
			s.want("1", "") // a reads
			s.watches.Set("b", nil)
			synctest.Wait()
			s.put("secrets/s", "2")
			s.watches.Set("a", secretRef())
			s.want("2", "a")
		})
	})
	t.Run("an old change tells nobody", func(t *testing.T) {
		bubble(t, func(s *server) {
			s.put("secrets/s", "1")
			s.want("1", "")
			s.put("secrets/s", "2")
			time.Sleep(time.Hour)
			s.want("2", "")
			s.watches.Set("a", secretRef())
			s.want("2", "")
		})
	})
}

func TestWhatWasReadHoldsWhileTheServerIsAway(t *testing.T) {
	bubble(t, func(s *server) {
		s.put("secrets/s", "1")
		s.want("1", "")
		s.watches.Set("a", secretRef())
		s.breakStreams(errors.New("connection refused"))
		time.Sleep(time.Minute)
		s.want("1", "")
		s.put("secrets/s", "2")
		s.want("1", "")
		s.recover()
		began := time.Now()
		for s.secret() != "2" {
			time.Sleep(100 * time.Millisecond)
		}
		if took := time.Since(began); took > 10*time.Second {
			s.t.Errorf("the change counted after %v", took)
		}
		s.want("2", "a")
		if s.open() != 1 {
			s.t.Errorf("%d watches", s.open())
		}
	})
}

func TestAWatchThatEndsIsOpenedAgain(t *testing.T) {
	bubble(t, func(s *server) {
		s.put("secrets/s", "1")
		s.want("1", "")
		s.watches.Set("a", secretRef())
		s.mu.Lock()
		s.streams["secrets/s"][0].Action(watch.Bookmark, &corev1.Secret{})
		s.streams["secrets/s"][0].Error(&metav1.Status{Reason: metav1.StatusReasonExpired})
		s.mu.Unlock()
		synctest.Wait()
		if s.open() != 0 {
			s.t.Error("the watch with an error stays")
		}
		time.Sleep(3 * time.Second)
		s.want("1", "") // nothing has changed
		s.put("secrets/s", "2")
		s.want("2", "a")
	})
}

func TestAForbiddenObjectIsToldOnceAllowed(t *testing.T) {
	bubble(t, func(s *server) {
		s.down = apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, "s", errors.New("no role"))
		s.put("secrets/s", "1")
		if _, err := s.watches.Secret(s.t.Context(), "shop", "s"); !apierrors.IsForbidden(err) {
			s.t.Errorf("got %v", err)
		}
		s.watches.Set("a", secretRef())
		time.Sleep(time.Minute)
		if got := s.events(); got != "" {
			s.t.Errorf("told %q of the same error", got)
		}
		s.recover()
		time.Sleep(5 * time.Second)
		s.want("1", "a")
	})
}

func TestAReadEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := kube.NewWatches(fake.NewClientset(), func([]string) {}, slog.New(slog.DiscardHandler)) // nobody calls Run
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := w.Secret(ctx, "shop", "s"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

func TestReadsBeforeRunAreAnsweredByIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "s", Namespace: "shop"}, Data: map[string][]byte{"k": []byte("1")}}
		w := kube.NewWatches(fake.NewClientset(secret), func([]string) {}, slog.New(slog.DiscardHandler))
		answer := make(chan string)
		go func() {
			data, err := w.Secret(t.Context(), "shop", "s")
			answer <- fmt.Sprint(string(data["k"]), " ", err)
		}()
		synctest.Wait()
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- w.Run(ctx) }()
		if got := <-answer; got != "1 <nil>" {
			t.Errorf("got %s", got)
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// The bubble fails when a goroutine is left.
func TestRunLeavesNothingBehind(t *testing.T) {
	bubble(t, func(s *server) {
		s.put("secrets/s", "1")
		s.want("1", "")
		s.watches.Set("a", append(secretRef(), kube.Ref{Kind: kube.KindConfigMap, Namespace: "shop", Name: "m"}))
		synctest.Wait()
		s.stop()
		if s.open() != 0 {
			s.t.Errorf("%d watches are open", s.open())
		}
	})
}
