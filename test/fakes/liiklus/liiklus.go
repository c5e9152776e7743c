// Package liiklus is a Liiklus server for tests, on loopback. It keeps offsets in
// memory and answers the two calls that tell how far a group is behind.
package liiklus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"sync"

	"google.golang.org/grpc"

	pb "github.com/weir-sh/weir/pkg/scalers/liiklus/liikluspb"
)

// Server is a running server. It is safe for concurrent use.
type Server struct {
	pb.UnimplementedLiiklusServiceServer
	grpc   *grpc.Server
	addr   string
	served chan error // what Serve returned

	mu          sync.Mutex // guards the following
	ends        map[string]map[uint32]uint64
	commits     map[group]map[uint32]uint64
	failures    map[string]error
	hanging     map[string]bool
	calls       Calls
	connections int
}

// group is a consumer group on a topic.
type group struct {
	topic, name string
	version     uint32
}

// Calls counts what was asked for.
type Calls struct{ GetOffsets, GetEndOffsets int }

// Start starts a server at address, such as "127.0.0.1:0" for a free port.
func Start(ctx context.Context, address string) (*Server, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("starting a Liiklus server: %w", err)
	}
	s := &Server{
		grpc: grpc.NewServer(), addr: l.Addr().String(), served: make(chan error, 1), failures: map[string]error{},
		ends: map[string]map[uint32]uint64{}, commits: map[group]map[uint32]uint64{}, hanging: map[string]bool{},
	}
	pb.RegisterLiiklusServiceServer(s.grpc, s)
	go func() { s.served <- s.grpc.Serve(counted{l, s}) }()
	return s, nil
}

// counted counts the connections of a listener.
type counted struct {
	net.Listener
	server *Server
}

// Accept implements net.Listener.
func (c counted) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err == nil {
		c.server.mu.Lock()
		defer c.server.mu.Unlock()
		c.server.connections++
	}
	return conn, err
}

// Stop hangs up on everybody and ends the server. It is called once.
func (s *Server) Stop() error {
	s.grpc.Stop()
	if err := <-s.served; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return fmt.Errorf("serving Liiklus: %w", err)
	}
	return nil
}

// Addr returns the address, as host:port.
func (s *Server) Addr() string { return s.addr }

// SetEnds says where the partitions of a topic end.
func (s *Server) SetEnds(topic string, ends map[uint32]uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ends[topic] = maps.Clone(ends)
}

// Commit says what a group has committed of a topic.
func (s *Server) Commit(topic, name string, version uint32, offsets map[uint32]uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.commits[group{topic, name, version}] = maps.Clone(offsets)
}

// Fail answers calls about a topic with err, a status of gRPC.
func (s *Server) Fail(topic string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures[topic] = err
}

// Hang never answers calls about a topic.
func (s *Server) Hang(topic string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hanging[topic] = true
}

// Calls returns how often each call was made.
func (s *Server) Calls() Calls {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// Connections returns how many connections were made.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connections
}

// GetOffsets implements the service.
func (s *Server) GetOffsets(ctx context.Context, r *pb.GetOffsetsRequest) (*pb.GetOffsetsReply, error) {
	s.mu.Lock()
	s.calls.GetOffsets++
	offsets := maps.Clone(s.commits[group{r.GetTopic(), r.GetGroup(), r.GetGroupVersion()}])
	s.mu.Unlock()
	return &pb.GetOffsetsReply{Offsets: offsets}, s.trouble(ctx, r.GetTopic())
}

// GetEndOffsets implements the service.
func (s *Server) GetEndOffsets(ctx context.Context, r *pb.GetEndOffsetsRequest) (*pb.GetEndOffsetsReply, error) {
	s.mu.Lock()
	s.calls.GetEndOffsets++
	offsets := maps.Clone(s.ends[r.GetTopic()])
	s.mu.Unlock()
	return &pb.GetEndOffsetsReply{Offsets: offsets}, s.trouble(ctx, r.GetTopic())
}

// trouble is what was set by Fail and Hang.
func (s *Server) trouble(ctx context.Context, topic string) error {
	s.mu.Lock()
	err, hanging := s.failures[topic], s.hanging[topic]
	s.mu.Unlock()
	if hanging {
		<-ctx.Done()
		return ctx.Err()
	}
	return err
}
