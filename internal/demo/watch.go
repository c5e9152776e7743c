package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/metrics/pkg/apis/external_metrics/v1beta1"

	"github.com/weir-sh/weir/pkg/snapshot"
)

// sight is what a row of the table shows.
type sight struct {
	backlog  int
	metric   string // what the HPA reads; "-" while there is no value
	desired  int32  // by the HPA
	replicas int32  // spec.replicas
	ready    int32
	reason   string // weir's last decision
}

// marks are the instants of the cycle.
type marks struct {
	one   time.Time // replicas above zero
	ready time.Time // the first worker is ready
	most  time.Time // the peak was reached
	zero  time.Time // back at zero with nothing waiting
	peak  int32
}

// replicas looks at the workload, and marks the instants.
func (s *scene) replicas(ctx context.Context, sub *subject, now time.Time) error {
	d, err := s.cluster.Client().AppsV1().Deployments(namespace).Get(ctx, sub.deployment, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("reading the workload: %w", err)
	}
	n := *d.Spec.Replicas
	sub.seen.replicas, sub.seen.ready = n, d.Status.ReadyReplicas
	m := &sub.marks
	if sub.first.IsZero() {
		return nil
	}
	if n > 0 && m.one.IsZero() {
		m.one = now
	}
	if d.Status.ReadyReplicas > 0 && m.ready.IsZero() {
		m.ready = now
	}
	if n > m.peak {
		m.peak, m.most = n, now
	}
	return nil
}

// look gathers the rest of a row.
func (s *scene) look(ctx context.Context, sub *subject) error {
	var err error
	if sub.seen.backlog, err = sub.backlog(ctx); err != nil {
		return err
	}
	hpa, err := s.cluster.Client().AutoscalingV2().HorizontalPodAutoscalers(namespace).Get(ctx, "keda-hpa-"+sub.name, metav1.GetOptions{})
	if err == nil {
		sub.seen.desired = hpa.Status.DesiredReplicas
	}
	sub.seen.metric = s.metric(ctx, sub)
	var o snapshot.Object
	if err := s.weir.Get(ctx, "/debug/weir/objects/"+namespace+"/"+sub.name, &o); err != nil {
		return err
	}
	if len(o.Decisions) > 0 {
		last := o.Decisions[len(o.Decisions)-1]
		sub.seen.reason = last.Action + ", " + last.Reason
	}
	return nil
}

// metric reads what the HPA reads, by the same way.
func (s *scene) metric(ctx context.Context, sub *subject) string {
	raw, err := s.cluster.Client().Discovery().RESTClient().Get().
		AbsPath("/apis/external.metrics.k8s.io/v1beta1/namespaces/"+namespace+"/"+sub.metric).
		Param("labelSelector", "scaledobject.keda.sh/name="+sub.name).DoRaw(ctx)
	if err != nil {
		return "-"
	}
	var list v1beta1.ExternalMetricValueList
	if err := json.Unmarshal(raw, &list); err != nil || len(list.Items) == 0 {
		return "-"
	}
	return list.Items[0].Value.String()
}

// processed reads from the workers' logs what was done, and how often.
func (s *scene) processed(sub *subject) (map[string]int, error) {
	logs, err := filepath.Glob(filepath.Join(s.cluster.Dir, "logs", namespace+"_"+sub.deployment+"-*.log"))
	if err != nil {
		return nil, fmt.Errorf("finding the workers' logs: %w", err)
	}
	done := map[string]int{}
	for _, path := range logs {
		if err := countDone(path, done); err != nil {
			return nil, err
		}
	}
	return done, nil
}

func countDone(path string, done map[string]int) (err error) {
	f, err := os.Open(path) //nolint:gosec // a log of our own cluster
	if err != nil {
		return fmt.Errorf("reading a worker's log: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if body, ok := strings.CutPrefix(lines.Text(), "done "); ok {
			done[body]++
		}
	}
	return lines.Err()
}

// queueTotal asks RabbitMQ's management API for the messages of a queue, those
// in workers' hands included, past its statistics, which lag by seconds.
func queueTotal(ctx context.Context, base, queue string) (n int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/api/queues/%2F?disable_stats=true&enable_queue_totals=true", nil)
	if err != nil {
		return 0, fmt.Errorf("asking RabbitMQ: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, fmt.Errorf("asking RabbitMQ: %w", err)
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	var list []struct {
		Name     string
		Messages int
	}
	if err := json.NewDecoder(resp.Body).Decode(&list); err != nil {
		return 0, fmt.Errorf("reading RabbitMQ's answer: %w", err)
	}
	for _, q := range list {
		if q.Name == queue {
			return q.Messages, nil
		}
	}
	return 0, fmt.Errorf("RabbitMQ has no queue %q", queue)
}
