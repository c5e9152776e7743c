//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/weir-sh/weir/internal/brokers/redis"
	"github.com/weir-sh/weir/pkg/api/v1alpha1"
)

type values map[string]any

// startRedis starts a server of the test's own.
func startRedis(t *testing.T, o redis.Options) *redis.Server {
	t.Helper()
	s, err := redis.Start(t.Context(), o)
	if err != nil {
		t.Fatalf("starting Redis: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Errorf("stopping Redis: %v", err)
		}
	})
	return s
}

// push puts n items on the list "jobs".
func push(t *testing.T, s *redis.Server, n int) {
	t.Helper()
	args := []string{"RPUSH", "jobs"}
	for i := range n {
		args = append(args, strconv.Itoa(i))
	}
	cli(t, s, args...)
}

func cli(t *testing.T, s *redis.Server, args ...string) string {
	t.Helper()
	out, err := s.CLI(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

func TestRedisListWakesGrowsAndRests(t *testing.T) {
	ns, s := cluster.NewNamespace(t), startRedis(t, redis.Options{})
	v := values{"Name": "list", "Kind": "redis", "Queue": "", "Address": s.Addr(), "Polling": 30, "Cooldown": 3}
	apply(t, ns, worker, v)
	apply(t, ns, redisObject, v)
	condition(t, 10*time.Second, ns, "list", v1alpha1.ConditionReady, "True/ScaledObjectReady", "")
	condition(t, 10*time.Second, ns, "list", v1alpha1.ConditionActive, "False/ScalerNotActive", "")

	start := time.Now()
	push(t, s, 80)
	awaitReplicas(t, 5*time.Second, ns, "list", "wakes although it is polled every 30 s only", func(want, _ int32) bool { return want > 0 })
	t.Logf("message to replicas: %s", time.Since(start))
	condition(t, 10*time.Second, ns, "list", v1alpha1.ConditionActive, "True/ScalerActive", "")
	awaitReplicas(t, 30*time.Second, ns, "list", "grows to several workers", func(_, ready int32) bool { return ready >= 4 })
	condition(t, 20*time.Second, ns, "list", v1alpha1.ConditionHPAActive, "True/HPAActive", "")
	awaitReplicas(t, 2*time.Minute, ns, "list", "rests", atZero)
	if left := cli(t, s, "LLEN", "jobs"); left != "0" {
		t.Errorf("%s messages are left", left)
	}
	condition(t, 10*time.Second, ns, "list", v1alpha1.ConditionActive, "False/ScalerNotActive", "")
}

func TestRabbitMQQueueWakesGrowsAndRests(t *testing.T) {
	ns, s := cluster.NewNamespace(t), broker(t)
	queue := strings.ReplaceAll(ns, "-", "_")
	publish(t, s.AMQPURL(), queue, 0)
	v := values{"Name": "queue", "Kind": "rabbitmq", "Queue": queue, "Address": s.AMQPURL()}
	apply(t, ns, worker, v)
	apply(t, ns, rabbitObject, v)
	condition(t, 20*time.Second, ns, "queue", v1alpha1.ConditionReady, "True/ScaledObjectReady", "")

	publish(t, s.AMQPURL(), queue, 80)
	awaitReplicas(t, 10*time.Second, ns, "queue", "wakes", func(want, _ int32) bool { return want > 0 })
	awaitReplicas(t, 30*time.Second, ns, "queue", "grows to several workers", func(_, ready int32) bool { return ready >= 4 })
	awaitReplicas(t, 2*time.Minute, ns, "queue", "rests", atZero)
}

// publish declares a queue and publishes n messages to it.
func publish(t *testing.T, url, queue string, n int) {
	t.Helper()
	conn, err := amqp.Dial(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}()
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ch.QueueDeclare(queue, true, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		body := amqp.Publishing{Body: []byte(strconv.Itoa(i))}
		if err := ch.PublishWithContext(t.Context(), "", queue, true, false, body); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTwoHundredObjectsShareOneConnection(t *testing.T) {
	const n = 200
	ns, s := cluster.NewNamespace(t), startRedis(t, redis.Options{})
	var manifest strings.Builder
	for i := range n {
		name := fmt.Sprintf("many-%d", i)
		fmt.Fprintf(&manifest, "%s\n---\n%s\n---\n", render(t, idle, values{"Name": name, "Replicas": 0}),
			strings.Replace(render(t, redisObject, values{"Name": name, "Polling": 2, "Cooldown": 60, "Address": s.Addr()}), "listName: jobs", "listName: "+name, 1))
	}
	apply(t, ns, strings.TrimSuffix(manifest.String(), "\n---\n"), nil)
	cluster.WaitFor(t, time.Minute, "all objects to be ready", func() error {
		if ready := readyObjects(t, ns); ready < n {
			return fmt.Errorf("%d of %d", ready, n)
		}
		return nil
	})
	before := commands(t, s)
	time.Sleep(10 * time.Second) // polls at 2 s; counted below
	after := commands(t, s)
	polling, watching := clients(t, s)
	t.Logf("%d connections that poll, %d that watch; %d LLEN in 10 s", polling, watching, after-before)
	if polling != 1 || watching > 1 {
		t.Errorf("%d connections poll and %d watch; want 1 and at most 1", polling, watching)
	}
	if got := after - before; got < 3*n || got > 8*n {
		t.Errorf("%d LLEN in 10 s for %d lists polled every 2 s", got, n)
	}
}

// commands returns how often LLEN was called.
func commands(t *testing.T, s *redis.Server) int {
	t.Helper()
	_, rest, found := strings.Cut(cli(t, s, "INFO", "commandstats"), "cmdstat_llen:calls=")
	if !found {
		return 0
	}
	text, _, _ := strings.Cut(rest, ",")
	calls, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return calls
}

// clients counts weir's connections: those that poll, and those with tracking on.
func clients(t *testing.T, s *redis.Server) (polling, watching int) {
	t.Helper()
	for line := range strings.Lines(cli(t, s, "CLIENT", "LIST", "TYPE", "normal")) {
		switch {
		case strings.Contains(line, "cmd=client|list"): // ours
		case strings.Contains(line, " redir=-1 "):
			polling++
		default:
			watching++
		}
	}
	return polling, watching
}

func TestBrokerDownForLongerThanTheCooldown(t *testing.T) {
	ns, s := cluster.NewNamespace(t), startRedis(t, redis.Options{})
	v := values{"Name": "outage", "Replicas": 0, "Address": s.Addr(), "Polling": 1, "Cooldown": 4}
	apply(t, ns, idle, v)
	apply(t, ns, redisObject, v)
	condition(t, 10*time.Second, ns, "outage", v1alpha1.ConditionReady, "True", "")
	push(t, s, 20)
	awaitReplicas(t, 30*time.Second, ns, "outage", "has work for 4", func(_, ready int32) bool { return ready == 4 })

	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	condition(t, 15*time.Second, ns, "outage", v1alpha1.ConditionReady, "False/TriggerError", "Redis")
	heldFor(t, 15*time.Second, ns, "outage", 4)

	if err := s.Restart(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	push(t, s, 20) // the server kept nothing
	condition(t, 30*time.Second, ns, "outage", v1alpha1.ConditionReady, "True/ScaledObjectReady", "")
	cli(t, s, "DEL", "jobs")
	awaitReplicas(t, time.Minute, ns, "outage", "rests after the recovery", atZero)
}
