// Command weir-demo-worker takes messages from a Redis list or a RabbitMQ queue,
// works a moment on each, acknowledges it and prints "done" with its body. A
// message whose worker dies is delivered again: nothing is lost. With --messages it
// ends after so many, as a Job does.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/redis/go-redis/v9"
)

// options are the flags and the environment.
type options struct {
	kind  string
	list  string // Redis list
	queue string // RabbitMQ queue
	work  time.Duration
	most  int // messages until it ends; zero: it does not
	pod   string
	redis string // host:port
	amqp  string // URL
}

func main() {
	o := options{pod: os.Getenv("POD_NAME"), redis: os.Getenv("REDIS_ADDRESS"), amqp: os.Getenv("RABBITMQ_URL")}
	flag.StringVar(&o.kind, "kind", "", "redis or rabbitmq")
	flag.StringVar(&o.list, "list", "", "Redis list to take messages from; $REDIS_ADDRESS says where")
	flag.StringVar(&o.queue, "queue", "", "RabbitMQ queue to consume; $RABBITMQ_URL says where")
	flag.DurationVar(&o.work, "work", 500*time.Millisecond, "time that one message takes")
	flag.IntVar(&o.most, "messages", 0, "end after so many messages; 0 for never")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	err := run(ctx, o, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "weir-demo-worker:", err)
		os.Exit(1)
	}
}

// run works until ctx ends; the message in hand is finished first.
func run(ctx context.Context, o options, out io.Writer) error {
	switch o.kind {
	case "redis":
		return consumeRedis(ctx, o, out)
	case "rabbitmq":
		return consumeRabbitMQ(ctx, o, out)
	}
	return errors.New("--kind must be redis or rabbitmq")
}

// finish does the work on a message. It is not cut short.
func finish(o options, out io.Writer, body string) {
	time.Sleep(o.work)
	fmt.Fprintln(out, "done", body)
}

// consumeRedis moves a message to a list of this worker's own while it works on
// it, and removes it from there when done.
func consumeRedis(ctx context.Context, o options, out io.Writer) error {
	c := redis.NewClient(&redis.Options{Addr: o.redis})
	defer c.Close() //nolint:errcheck // the process ends
	own := o.list + ":" + o.pod
	for done := 0; ctx.Err() == nil && (o.most == 0 || done < o.most); {
		// Not cut short either: a message that was moved must be worked on.
		body, err := c.BLMove(context.WithoutCancel(ctx), o.list, own, "LEFT", "RIGHT", time.Second).Result()
		switch {
		case errors.Is(err, redis.Nil):
			continue
		case err != nil:
			return fmt.Errorf("taking a message from list %q: %w", o.list, err)
		}
		finish(o, out, body)
		if err := c.LRem(context.WithoutCancel(ctx), own, 1, body).Err(); err != nil {
			return fmt.Errorf("removing a finished message: %w", err)
		}
		done++
	}
	return nil
}

// consumeRabbitMQ has one message in hand at a time and acknowledges it when
// done.
func consumeRabbitMQ(ctx context.Context, o options, out io.Writer) error {
	conn, err := amqp.Dial(o.amqp)
	if err != nil {
		return fmt.Errorf("connecting to RabbitMQ: %w", err)
	}
	defer conn.Close() //nolint:errcheck // the process ends
	ch, err := conn.Channel()
	if err != nil {
		return fmt.Errorf("opening a channel: %w", err)
	}
	if err := ch.Qos(1, 0, false); err != nil {
		return fmt.Errorf("asking for one message at a time: %w", err)
	}
	messages, err := ch.Consume(o.queue, "", false, false, false, false, nil)
	if err != nil {
		return fmt.Errorf("consuming queue %q: %w", o.queue, err)
	}
	for done := 0; o.most == 0 || done < o.most; done++ {
		select {
		case <-ctx.Done():
			return nil
		case m, ok := <-messages:
			if !ok {
				return errors.New("RabbitMQ closed the connection")
			}
			finish(o, out, string(m.Body))
			if err := m.Ack(false); err != nil {
				return fmt.Errorf("acknowledging a message: %w", err)
			}
		}
	}
	return nil
}
