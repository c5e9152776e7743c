// Package kafka runs a real Apache Kafka broker on loopback for tests: one node that
// is broker and controller (KRaft). It keeps its data in a temporary directory, takes
// 300 MB of memory and dies with the process that started it.
package kafka

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/weir-sh/weir/internal/brokers/extras"
	"github.com/weir-sh/weir/internal/brokers/process"
)

// Options say how a broker runs.
type Options struct {
	// Users may log in at SASLAddr, by PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512, and
	// do what ACLs allow. The keys are names and the values passwords, both of
	// letters and digits. By OAUTHBEARER anyone may log in as the subject of an
	// unsigned token.
	Users map[string]string
	// Config holds further lines of server.properties.
	Config []string
}

// Server is a broker that was started. Its methods are for one goroutine at a time.
type Server struct {
	opts       Options
	java, jars string
	dir        string
	// Addresses of the listeners, as "host:port".
	open, sasl, controller string

	proc *process.Process // nil when it does not run
}

// Start runs a broker and returns when it serves, which takes 10 s on a quiet
// machine. The error holds extras.ErrMissing when Kafka or Java is not there. The
// broker outlives ctx: call Stop.
func Start(ctx context.Context, o Options) (*Server, error) {
	java, jars, err := extras.Jars()
	if err != nil {
		return nil, fmt.Errorf("starting Kafka: %w", err)
	}
	s := &Server{opts: o, java: java, jars: jars}
	if s.dir, err = os.MkdirTemp("", "kafka-"); err != nil {
		return nil, fmt.Errorf("starting Kafka: %w", err)
	}
	s.proc, err = extras.RunOn(ctx, 3, func(ports []int) (extras.Command, error) {
		for i, addr := range []*string{&s.open, &s.sasl, &s.controller} {
			*addr = fmt.Sprintf("127.0.0.1:%d", ports[i])
		}
		return s.command(), s.prepare(ctx)
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting Kafka: %w", err), s.Stop())
	}
	return s, nil
}

// Addr is the listener that lets anyone do anything, as "host:port".
func (s *Server) Addr() string { return s.open }

// SASLAddr is the listener for Options.Users, as "host:port".
func (s *Server) SASLAddr() string { return s.sasl }

// Restart starts the broker with the addresses and data it had, ending it at once
// when it still runs. It returns when the broker serves.
func (s *Server) Restart(ctx context.Context) error {
	if err := s.Kill(); err != nil {
		return err
	}
	var err error
	if s.proc, err = s.command().Run(ctx); err != nil {
		return fmt.Errorf("starting Kafka again: %w", err)
	}
	return nil
}

// Kill ends the broker as a crash would. It does nothing when the broker is down.
func (s *Server) Kill() error {
	if s.proc == nil {
		return nil
	}
	err := s.proc.Kill()
	s.proc = nil
	return err
}

// Stop ends the broker and removes its data. It may be called again.
func (s *Server) Stop() error { return errors.Join(s.Kill(), os.RemoveAll(s.dir)) }

// prepare writes the configuration and makes the data directory, with the users'
// SCRAM credentials.
func (s *Server) prepare(ctx context.Context) error {
	if err := os.WriteFile(s.path("server.properties"), []byte(s.config()), 0o600); err != nil {
		return err
	}
	args := []string{"format", "--ignore-formatted", "-t", "d2Vpci10ZXN0LWNsdXN0ZQ", "-c", s.path("server.properties")}
	for name, password := range s.opts.Users {
		for _, mechanism := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
			args = append(args, "--add-scram", fmt.Sprintf("%s=[name=%s,password=%s]", mechanism, name, password))
		}
	}
	_, err := s.tool(ctx, "kafka.tools.StorageTool", args...)
	return err
}

func (s *Server) path(name string) string { return filepath.Join(s.dir, name) }

// config is the broker's configuration: small, and otherwise as a broker comes.
func (s *Server) config() string {
	var plain strings.Builder
	for name, password := range s.opts.Users {
		fmt.Fprintf(&plain, " user_%s=%q", name, password)
	}
	const login, module = "listener.name.sasl.", ".sasl.jaas.config=org.apache.kafka.common.security."
	lines := []string{
		"process.roles=broker,controller", "node.id=1", "controller.quorum.voters=1@" + s.controller,
		"listeners=OPEN://" + s.open + ",SASL://" + s.sasl + ",CONTROLLER://" + s.controller,
		"advertised.listeners=OPEN://" + s.open + ",SASL://" + s.sasl,
		"listener.security.protocol.map=OPEN:PLAINTEXT,SASL:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
		"controller.listener.names=CONTROLLER", "inter.broker.listener.name=OPEN",
		login + "sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
		login + "plain" + module + "plain.PlainLoginModule required" + plain.String() + ";",
		login + "scram-sha-256" + module + "scram.ScramLoginModule required;",
		login + "scram-sha-512" + module + "scram.ScramLoginModule required;",
		login + "oauthbearer" + module + `oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";`,
		"authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer", "super.users=User:ANONYMOUS",
		"log.dirs=" + s.path("data"),
		"offsets.topic.replication.factor=1", "offsets.topic.num.partitions=1",
		"transaction.state.log.replication.factor=1", "transaction.state.log.min.isr=1", "transaction.state.log.num.partitions=1",
		"group.initial.rebalance.delay.ms=0",
		"log.cleaner.dedupe.buffer.size=4194304", "num.network.threads=2", "num.io.threads=4",
	}
	return strings.Join(append(lines, s.opts.Config...), "\n") + "\n"
}

// flags are those of Java for a program that is started often and does little.
func (s *Server) flags(heap string) []string {
	return []string{
		"-Xmx" + heap, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData",
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp", filepath.Join(s.jars, "*"),
	}
}

func (s *Server) command() extras.Command {
	return extras.Command{
		Path: s.java, Args: append(s.flags("160m"), "kafka.Kafka", s.path("server.properties")),
		Log: s.path("log"), Answers: s.serves,
	}
}

// serves asks for the cluster's brokers.
func (s *Server) serves(ctx context.Context) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(s.open), kgo.RequestRetries(0), kgo.DialTimeout(time.Second))
	if err != nil {
		return err
	}
	defer client.Close()
	ask := kmsg.NewPtrMetadataRequest()
	ask.Topics = []kmsg.MetadataRequestTopic{} // none
	answer, err := ask.RequestWith(ctx, client)
	if err == nil && (len(answer.Brokers) != 1 || answer.ControllerID != 1) {
		err = fmt.Errorf("the cluster has %d brokers and controller %d", len(answer.Brokers), answer.ControllerID)
	}
	return err
}

// tool runs one of Kafka's command line tools and returns what it prints. A call
// takes 3 seconds on a quiet machine.
func (s *Server) tool(ctx context.Context, class string, args ...string) (string, error) {
	var problems strings.Builder
	cmd := exec.CommandContext(ctx, s.java, append(append(s.flags("96m"), class), args...)...) //nolint:gosec // for tests
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("running %s: %w: %s%s", class, err, out, problems.String())
	}
	return string(out), nil
}
