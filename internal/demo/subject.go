package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/weir-sh/weir/internal/stack"
)

// namespace is where the examples are applied.
const namespace = "demo"

// subject is one example with its queue and what has been seen of it.
type subject struct {
	name       string // of the ScaledObject
	deployment string
	metric     string
	send       func(ctx context.Context, bodies []string) error
	backlog    func(ctx context.Context) (int, error) // waiting and in hand

	sent  []string
	first time.Time // when the first message was sent
	seen  sight
	marks marks
}

// deploy applies the examples with the addresses of the brokers in their Secrets.
func (s *scene) deploy(ctx context.Context) ([]*subject, error) {
	s.log.say("applying examples/redis-list and examples/rabbitmq-queue")
	if err := s.declareQueue(); err != nil {
		return nil, err
	}
	root, err := stack.Root()
	if err != nil {
		return nil, err
	}
	ns := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": namespace},
	}}
	objects := []*unstructured.Unstructured{ns}
	for example, data := range map[string]map[string]any{
		"redis-list":     {"address": s.redis.Addr()},
		"rabbitmq-queue": {"url": s.rabbit.AMQPURL()},
	} {
		files, err := filepath.Glob(filepath.Join(root, "examples", example, "*.yaml"))
		if err != nil || len(files) == 0 {
			return nil, errors.Join(err, fmt.Errorf("no manifests in examples/%s", example))
		}
		list, err := stack.Objects(files...)
		if err != nil {
			return nil, err
		}
		for _, u := range list {
			u.SetNamespace(namespace)
			if u.GetKind() == "Secret" {
				u.Object["stringData"] = data
			}
		}
		objects = append(objects, list...)
	}
	if err := stack.Apply(ctx, s.cluster, objects...); err != nil {
		return nil, err
	}
	return []*subject{
		{name: "redis-list", deployment: "redis-list-worker", metric: "s0-redis-orders", send: s.pushRedis, backlog: s.redisBacklog},
		{name: "rabbitmq-queue", deployment: "rabbitmq-queue-worker", metric: "s0-rabbitmq-orders", send: s.publish, backlog: s.rabbitBacklog},
	}, nil
}

// burst sends n messages.
func (sub *subject) burst(ctx context.Context, n int) error {
	bodies := make([]string, n)
	for i := range bodies {
		bodies[i] = sub.name + "-" + strconv.Itoa(len(sub.sent)+i)
	}
	if sub.first.IsZero() {
		sub.first = time.Now()
	}
	if err := sub.send(ctx, bodies); err != nil {
		return fmt.Errorf("sending messages for %s: %w", sub.name, err)
	}
	sub.sent = append(sub.sent, bodies...)
	return nil
}

func (s *scene) pushRedis(ctx context.Context, bodies []string) error {
	_, err := s.redis.CLI(ctx, append([]string{"RPUSH", "orders"}, bodies...)...)
	return err
}

// redisBacklog counts the list and the lists of the workers.
func (s *scene) redisBacklog(ctx context.Context) (int, error) {
	keys, err := s.redis.CLI(ctx, "KEYS", "orders*")
	if err != nil {
		return 0, err
	}
	total := 0
	for key := range strings.FieldsSeq(keys) {
		text, err := s.redis.CLI(ctx, "LLEN", key)
		if err != nil {
			return 0, err
		}
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil {
			return 0, fmt.Errorf("reading the length of a list: %w", err)
		}
		total += n
	}
	return total, nil
}

// channel runs f on a channel of its own.
func (s *scene) channel(f func(*amqp.Channel) error) (err error) {
	conn, err := amqp.Dial(s.rabbit.AMQPURL())
	if err != nil {
		return fmt.Errorf("connecting to RabbitMQ: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	ch, err := conn.Channel()
	if err != nil {
		return fmt.Errorf("opening a channel: %w", err)
	}
	return f(ch)
}

func (s *scene) declareQueue() error {
	return s.channel(func(ch *amqp.Channel) error {
		_, err := ch.QueueDeclare("orders", true, false, false, false, nil)
		return err
	})
}

func (s *scene) publish(ctx context.Context, bodies []string) error {
	return s.channel(func(ch *amqp.Channel) error {
		for _, b := range bodies {
			err := ch.PublishWithContext(ctx, "", "orders", true, false, amqp.Publishing{DeliveryMode: amqp.Persistent, Body: []byte(b)})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// rabbitBacklog asks the management API, as its rabbitmqctl would take seconds.
func (s *scene) rabbitBacklog(ctx context.Context) (int, error) {
	return queueTotal(ctx, s.rabbit.ManagementURL(), "orders")
}
