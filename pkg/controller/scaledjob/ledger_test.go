package scaledjob_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestJobsCountBeforeTheCacheShowsThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scaledJob(between(0, 6)))
	w.polls(0, 0)
	w.settles()
	w.lagging = true
	w.polls(time.Second, 4)
	w.asks("list Job", "create Job x4", "status of ScaledJob a")
	for range 3 {
		w.polls(time.Second, 4)
	}
	w.polls(time.Second, 9)
	w.asks("create Job x2")

	// Some come, with one that has ended meanwhile; the others still count.
	w.finish(1, batchv1.JobComplete)
	for i, j := range w.jobs() {
		if i < 3 {
			w.shows(&j)
		}
	}
	w.polls(time.Second, 9)
	w.asks() // the end was seen no earlier than the reading was taken
	w.polls(time.Second, 9)
	w.asks("create Job")
	w.has(6, 1)
}

func TestAJobThatNeverComesIsAskedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scaledJob(between(0, 4)))
	w.polls(0, 0)
	w.settles()
	w.lagging = true
	w.lose = func() bool { return w.uids%2 == 0 } // every other answer
	w.polls(time.Second, 2)
	w.Tells(
		created+"1 Job: "+hasWork+"2 (target 1); 2 Jobs wanted, 0 unfinished, at most 4 (default): creating 2",
		"Warning KEDAJobCreateFailed: created 1 of 2 Jobs: creating a Job: context deadline exceeded",
		"Normal ScaledJobActive: "+hasWork+"2 (target 1); 2 Jobs wanted, 0 unfinished, at most 4 (default): creating 2; created 1 of 2 Jobs: creating a Job: context deadline exceeded",
	)
	w.has(2, 0)
	w.lose = nil
	w.forgets()
	w.polls(10*time.Second, 2)
	w.asks()

	// It takes long: it is looked for, found, and still counts.
	w.polls(5*time.Second, 2)
	w.asks("list Job")
	w.polls(5*time.Second, 2)
	w.asks()

	// One is gone before the cache ever showed it.
	gone := w.jobs()[0]
	if err := w.api.Delete(t.Context(), &gone); err != nil {
		t.Fatal(err)
	}
	w.polls(10*time.Second, 2)
	w.asks("list Job")
	w.polls(time.Second, 2)
	w.asks("create Job")
	w.has(2, 0)
}

func TestACreationThatFailedOrNot(t *testing.T) {
	t.Parallel()
	resource := schema.GroupResource{Group: "batch", Resource: "jobs"}
	for _, row := range []struct {
		name  string
		err   error
		await bool // it may have been created
	}{
		{"quota", apierrors.NewForbidden(resource, "a-*", errors.New("exceeded quota")), false},
		{"invalid", apierrors.NewInvalid(schema.GroupKind{Group: "batch", Kind: "Job"}, "a-*", nil), false},
		{"too many requests", apierrors.NewTooManyRequests("slow down", 1), false},
		{"the server's fault", apierrors.NewInternalError(errors.New("etcd")), true},
		{"too slow", apierrors.NewTimeoutError("request did not complete", 1), true},
		{"server timeout", apierrors.NewServerTimeout(resource, "create", 1), true},
		{"no answer", &netError{}, true},
		{"odd code", &apierrors.StatusError{ErrStatus: metav1.Status{Code: http.StatusRequestTimeout, Message: "request timeout"}}, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, scaledJob())
			w.polls(0, 0)
			w.settles()
			w.Fail = failOn("create Job", row.err)
			w.polls(time.Second, 20)
			w.asks("list Job", "create Job", "status of ScaledJob a") // one only
			text := "creating a Job: " + row.err.Error()
			w.Tells("Warning KEDAJobCreateFailed: created 0 of 20 Jobs: "+text, "Warning ScaledJobCheckFailed: "+text,
				"Normal ScaledJobActive: "+hasWork+"20 (target 1); 20 Jobs wanted, 0 unfinished, at most 100 (default): creating 20; created 0 of 20 Jobs: "+text)
			w.says("Ready", "False ScaledJobCheckFailed: "+text)
			w.polls(5*time.Second, 20)
			w.asks()
			w.Tells()

			// The next poll tries again. It is told anew when it is something else.
			w.polls(30*time.Second, 20)
			w.Tells()
			w.forgets()
			w.Fail = failOn("create Job", errors.New("something else"))
			w.polls(30*time.Second, 20)
			equal(t, "told again", strings.HasSuffix(w.Events[0], "creating a Job: something else"), true)
			w.forgets()
			w.Fail = nil
			w.polls(30*time.Second, 20)
			w.asks("list Job", "create Job x19", "status of ScaledJob a") // the twentieth was awaited until just now
			w.says("Ready", ready)
		})
	}
}

type netError struct{}

func (*netError) Error() string { return "connection reset by peer" }

func failOn(prefix string, err error) func(string) error {
	return func(call string) error {
		if strings.HasPrefix(call, prefix) {
			return err
		}
		return nil
	}
}

func TestAFailureInTheMiddle(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scaledJob())
	w.polls(0, 0)
	w.settles()
	n := 0
	w.Fail = func(call string) error {
		if call == "create Job" {
			if n++; n > 5 {
				return errors.New("exceeded quota")
			}
		}
		return nil
	}
	w.polls(time.Second, 40)
	w.has(5, 0)
	if n != 7 { // 1 + 2 + 4, of which 2 failed
		t.Errorf("%d tries", n)
	}
	message := hasWork + "40 (target 1); 40 Jobs wanted, 0 unfinished, at most 100 (default): creating 40"
	failure := "created 5 of 40 Jobs: creating a Job: exceeded quota"
	w.Tells(created+"5 Jobs: "+message, "Warning KEDAJobCreateFailed: "+failure, "Normal ScaledJobActive: "+message+"; "+failure)
	w.says("Ready", ready)
	w.Same("told", w.told, []string{"ns/a has 5 more, measured 0s ago, error creating a Job: exceeded quota", "ns/a create 0 to 5: WorkWaiting"})
}

func TestANameThatIsTakenIsNotTheEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scaledJob())
	w.polls(0, 0)
	n := 0
	w.Fail = func(call string) error {
		if n++; call == "create Job" && n < 4 {
			return apierrors.NewAlreadyExists(schema.GroupResource{Resource: "jobs"}, "a-xxxxx")
		}
		return nil
	}
	w.polls(time.Second, 1)
	w.has(1, 0)
}

func TestJobsThatCannotBeReadAreNotZero(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scaledJob(), job("running", 1, "", 0))
	w.polls(0, 0)
	w.settles()
	w.reads("jobs", 5)
	for call, want := range map[string]string{
		"list Job":   "listing the Jobs: timeout",
		"cached Job": "reading the Jobs: timeout",
	} {
		w.Fail = failOn(call, errors.New("timeout"))
		for range 3 {
			w.failing(want)
		}
		w.says("Ready", "False ScaledJobCheckFailed: "+want, "Active", active)
		w.has(1, 0)
		w.now = w.now.Add(2 * time.Minute) // for another text
		w.reads("jobs", 5)
	}
	w.Fail = nil
	w.pass()
	w.has(5, 0)
	w.says("Ready", ready)

	w.edits(strategy("eager"))
	w.Fail = failOn("cached Pod", errors.New("timeout"))
	w.reads("jobs", 50)
	w.failing("reading the pods of the Jobs: timeout")
	w.has(0, 0) // rolled out
}

func TestARestartNeitherDuplicatesNorDeletes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scaledJob())
	w.polls(0, 0)
	w.polls(time.Second, 7)
	w.has(7, 0)
	w.settles()
	w.restart()
	clear(w.cache) // of an API server that is behind
	w.lagging = true
	w.pass()
	w.asks()
	w.polls(time.Second, 7)
	w.asks("list Job")
	w.lagging = false
	w.polls(time.Second, 8)
	w.asks("create Job")
	w.has(8, 0)
	w.Tells(created + "1 Job: " + hasWork + "8 (target 1); 8 Jobs wanted, 7 unfinished, at most 100 (default): creating 1")
}

func TestAReadingThatIsOlderThanAnEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scaledJob())
	w.polls(0, 0)
	w.polls(time.Second, 3)
	w.pass()
	w.finish(3, batchv1.JobComplete)

	// A measurement that began before they ended, and took long.
	w.now = w.now.Add(30 * time.Second)
	w.polls(500*time.Millisecond, 0) // of another source, as it were, and quick
	w.now = w.now.Add(500 * time.Millisecond)
	w.reads("jobs", 3)
	s := w.engine.Samples[w.query("jobs")]
	s.Measured, s.Took = w.now, 5*time.Second
	w.engine.Samples[w.query("jobs")] = s
	w.forgets()
	w.pass()
	w.asks("status of ScaledJob a") // active again

	s.Took = 100 * time.Millisecond
	w.engine.Samples[w.query("jobs")] = s
	w.pass()
	w.asks("create Job x3")
}

func TestJobsOfOthersDoNotCount(t *testing.T) {
	t.Parallel()
	foreign, orphan, renamed := job("foreign", 1, "", 0), job("orphan", 1, "", 0), job("renamed", 1, "", 0)
	foreign.OwnerReferences[0].UID = "uid-of-another"
	orphan.OwnerReferences = nil
	renamed.Labels = map[string]string{"scaledjob.keda.sh/name": "overridden"}
	w := newWorld(t, scaledJob(), foreign, renamed)
	w.pass()
	w.polls(time.Second, 3)
	w.has(2+2, 0) // renamed counts
	w.r.FromJob().Delete(t.Context(), deletion(orphan), nil)
	w.r.FromJob().Delete(t.Context(), deletion(foreign), nil)
	equal(t, "asked for", fmt.Sprint(w.queue.Taken()), "[a]")
}
