package nats

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/internal/httpx"
)

const (
	// inFlight is how many requests run at a time.
	inFlight = 8
	// rediscover is how often the servers of a cluster are looked up at most,
	// unless one of them answers under a new identity.
	rediscover = time.Minute
	// idleAge is when the leader of a consumer that is not measured is forgotten.
	idleAge = time.Hour
)

// source is an open connection to a server or a cluster. Fetch alone uses it, so
// that nothing needs a lock.
type source struct {
	settings settings
	http     *httpx.Client
	calls    scalers.Source[*call]
	// bases are the addresses of a cluster's servers; nil while the endpoint alone
	// is asked.
	bases []string
	// names are what the servers are called, by the identity in their answers: a
	// Service may lead to another server each time.
	names map[string]string
	// silent says that a server did not answer when they were looked up.
	silent  bool
	found   time.Time
	leaders map[consumer]seat
	swept   time.Time
}

// seat is where a consumer was read.
type seat struct {
	base string
	used time.Time
}

// call is one request and its answer.
type call struct {
	op, url string
	into    any
}

// open prepares the client. Connections are made with the first Fetch.
func open(env scalers.Env, s settings) (*source, error) {
	if s.malformed {
		return nil, &scalers.Error{
			Kind: scalers.Invalid, Op: "connecting to NATS", Err: errors.New("the address cannot be used"),
			Hint: `write "natsServerMonitoringEndpoint" as host:port`,
		}
	}
	client, err := httpx.New(env.HTTP, httpx.Options{Conns: inFlight, Name: env.ClientName})
	if err != nil {
		return nil, err
	}
	src := &source{settings: s, http: client, names: map[string]string{}, leaders: map[consumer]seat{}}
	src.calls = scalers.Each(inFlight, src.call, client.Close)
	return src, nil
}

// Close implements scalers.Source.
func (s *source) Close() error { return s.calls.Close() }

// call makes one request. Only the error of the reading counts.
func (s *source) call(ctx context.Context, c *call) scalers.Reading {
	return scalers.Reading{Err: s.http.GetJSON(ctx, c.op, c.url, nil, c.into)}
}

// base is the address of the server on a host.
func (s *source) base(host string) string {
	scheme := "http"
	if s.settings.https {
		scheme = "https"
	}
	if s.settings.port != "" {
		host = net.JoinHostPort(host, s.settings.port)
	}
	return scheme + "://" + host
}

// Fetch implements scalers.Source.
func (s *source) Fetch(ctx context.Context, queries []consumer) ([]scalers.Reading, error) {
	s.sweep(time.Now())
	r := newRound(s, queries)
	if s.bases == nil {
		if err := r.ask(ctx, []string{s.base(s.settings.host)}, queries); err != nil {
			return nil, s.late(err)
		}
		if err := r.silence(); err != nil {
			return nil, err
		}
		if !r.isCluster() {
			return r.readings(), nil
		}
		if err := s.discover(ctx); err != nil {
			return nil, err
		}
	}
	if err := s.cluster(ctx, r); err != nil {
		return nil, err
	}
	return r.readings(), nil
}

// cluster reads each consumer from its leader: first where it was last time, then
// everywhere.
func (s *source) cluster(ctx context.Context, r *round) error {
	where := map[string][]consumer{}
	for _, q := range r.queries {
		if seat, known := s.leaders[q]; known {
			where[seat.base] = append(where[seat.base], q)
		}
	}
	if err := r.askEach(ctx, where); err != nil {
		return s.late(err)
	}
	missing := r.missing()
	if len(missing) == 0 {
		return nil
	}
	if r.stranger() || time.Since(s.found) > rediscover {
		if err := s.discover(ctx); err != nil && ctx.Err() != nil {
			return err
		}
	}
	if err := r.ask(ctx, s.bases, missing); err != nil {
		return s.late(err)
	}
	r.missing()
	err := r.silence()
	if err != nil {
		s.bases = nil // begin with the endpoint again
	}
	return err
}

// late is the error when the context ended.
func (s *source) late(err error) error {
	return &scalers.Error{Kind: scalers.Unreachable, Op: "asking NATS at " + s.base(s.settings.host), Err: err}
}

// leads reports whether the server that gave a is the leader, as which it is
// called. A single server leads everything.
func (s *source) leads(a *answer, leader string) bool {
	return s.bases == nil || leader != "" && s.names[a.ID] == leader
}

// sweep forgets consumers that are not measured any more.
func (s *source) sweep(now time.Time) {
	if now.Sub(s.swept) < rediscover {
		return
	}
	s.swept = now
	maps.DeleteFunc(s.leaders, func(_ consumer, seat seat) bool { return now.Sub(seat.used) > idleAge })
}

// maxServers is how many servers of a cluster are looked at.
const maxServers = 64

// variables are what a server says of itself.
type variables struct {
	ID          string   `json:"server_id"`
	Name        string   `json:"server_name"`
	ConnectURLs []string `json:"connect_urls"`
	Cluster     struct {
		URLs []string `json:"urls"`
	} `json:"cluster"`
}

// discover looks up the servers of the cluster.
func (s *source) discover(ctx context.Context) error {
	s.found = time.Now()
	entry := s.base(s.settings.host)
	own := new(variables)
	if r := s.call(ctx, &call{op: "asking " + entry + " for the servers of the cluster", url: entry + "/varz", into: own}); r.Err != nil {
		return r.Err
	}
	hosts := s.hosts(own)
	told, calls := make([]variables, len(hosts)), make([]*call, len(hosts))
	for i, host := range hosts {
		base := s.base(host)
		calls[i] = &call{op: "asking " + base + " for its name", url: base + "/varz", into: &told[i]}
	}
	outcomes, err := s.calls.Fetch(ctx, calls)
	if err != nil {
		return s.late(err)
	}
	bases, names, silent := []string(nil), map[string]string{}, false
	for i, v := range told {
		if outcomes[i].Err != nil {
			silent = true
			continue
		}
		names[v.ID], bases = v.Name, append(bases, s.base(hosts[i]))
	}
	if names[own.ID] == "" { // it is reached through the endpoint only
		names[own.ID], bases = own.Name, append(bases, entry)
	}
	s.bases, s.names, s.silent = bases, names, silent
	return nil
}

// hosts are the servers that a server tells of, sorted.
func (s *source) hosts(v *variables) []string {
	told := v.ConnectURLs
	if len(told) == 0 {
		told = v.Cluster.URLs
	}
	out := map[string]bool{}
	for _, u := range told {
		if _, bare, ok := strings.Cut(u, "://"); ok {
			u = bare
		}
		host, _, err := net.SplitHostPort(u)
		if err != nil {
			host = u
		}
		if len(v.ConnectURLs) == 0 && net.ParseIP(host) == nil {
			label, _, _ := strings.Cut(host, ".")
			host = label + "." + s.settings.host
		}
		if isHost(host) && len(out) < maxServers {
			out[host] = true
		}
	}
	return slices.Sorted(maps.Keys(out))
}

// isHost reports whether s can be the host of an address.
func isHost(s string) bool {
	u, err := url.Parse("http://" + net.JoinHostPort(s, "1"))
	return err == nil && s != "" && u.User == nil && u.Hostname() == s && !strings.ContainsAny(s, "/?#@ ")
}

// isPort reports whether s is empty or a number.
func isPort(s string) bool { return strings.Trim(s, "0123456789") == "" }
