package redis

import (
	"context"
	"errors"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// tempo is the time that watching takes.
type tempo struct {
	// survey is how often a watch looks whether the keys are still where it
	// watches them. A key that does not exist leaves no trace when its slot or
	// master moves.
	survey time.Duration
	// heartbeat is the time between PINGs.
	heartbeat time.Duration
	// silence is how long a server says nothing before it is taken for dead.
	silence time.Duration
}

// watch wakes queries when their keys change, by server-assisted client-side
// caching (CLIENT TRACKING): one connection to each server that holds a key.
//
// It speaks the protocol itself. The client library of the poll plane delivers
// such messages only while a command waits for its reply, and the one that
// delivers at once ends the whole process when a server says something out of
// turn, which any user's server could do.
func watch[Q comparable](
	ctx context.Context, u *upstream, queries []Q, key func(Q) string, command string, ready func(), wake func(Q),
) error {
	of := make(map[string][]Q, len(queries))
	for _, q := range queries {
		of[key(q)] = append(of[key(q)], q)
	}
	keys := slices.Sorted(maps.Keys(of))
	route, err := u.route(ctx, keys)
	if err != nil {
		return u.failed(ctx, "finding the servers to watch", err)
	}
	var all sync.WaitGroup
	defer all.Wait()
	watching, cancel := context.WithCancel(ctx)
	defer cancel()
	armed := make(chan struct{}, len(route))
	ended := make(chan error, len(route)+1) // one for each goroutine
	for addr, keys := range route {
		l := &link{
			command: command, tempo: u.tempo,
			armed: func() { armed <- struct{}{} },
			wake: func(k string) {
				for _, q := range of[k] {
					wake(q)
				}
			},
		}
		all.Go(func() { ended <- l.serve(watching, u, addr, keys) })
	}
	all.Go(func() { ended <- u.stays(watching, keys, route) })
	for range route {
		select {
		case <-armed:
		case err := <-ended:
			return u.stopped(ctx, err)
		}
	}
	ready()
	return u.stopped(ctx, <-ended)
}

// stopped is the error of a watch: why ctx ended, when it did.
func (u *upstream) stopped(ctx context.Context, err error) error {
	if ctx.Err() == nil && errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return u.failed(ctx, "watching "+u.settings.where(), err)
}

// stays returns when the keys are no longer held by the servers of route.
func (u *upstream) stays(ctx context.Context, keys []string, route map[string][]string) error {
	tick := time.NewTicker(u.tempo.survey)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		// An error says nothing about the links; they have heartbeats of their own.
		now, err := u.route(ctx, keys)
		if err == nil && !maps.EqualFunc(route, now, slices.Equal) {
			return errMoved
		}
	}
}

var errMoved = errors.New("keys have moved to another server")

// route says which server holds each key, as its address.
func (u *upstream) route(ctx context.Context, keys []string) (map[string][]string, error) {
	out := map[string][]string{}
	if len(keys) == 0 {
		return out, nil
	}
	if c, ok := u.client.(*redis.ClusterClient); ok {
		defer c.ReloadState(ctx) // in the background, for the next time
		for _, k := range keys {
			master, err := c.MasterForKey(ctx, k)
			if err != nil {
				return nil, err
			}
			addr := master.Options().Addr
			out[addr] = append(out[addr], k)
		}
		return out, nil
	}
	addr := u.settings.addresses.Items()[0]
	if u.settings.deployment == sentinel {
		var err error
		if addr, err = u.master(ctx); err != nil {
			return nil, err
		}
	}
	out[addr] = keys
	return out, nil
}

// master asks one sentinel after the other for the address of the master.
func (u *upstream) master(ctx context.Context) (string, error) {
	s := u.settings
	var errs []error
	for _, addr := range s.addresses.Items() {
		c := redis.NewSentinelClient(u.serverOptions(addr, s.sentinelUsername, s.sentinelPassword.Reveal()))
		found, err := c.GetMasterAddrByName(ctx, s.sentinelMaster).Result()
		if err = errors.Join(err, c.Close()); err == nil && len(found) == 2 {
			return net.JoinHostPort(found[0], found[1]), nil
		}
		errs = append(errs, err)
	}
	return "", errors.Join(errs...)
}
