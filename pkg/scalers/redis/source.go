package redis

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/weir-sh/weir/pkg/scalers"
)

// flush is the most commands sent before their replies are read. 500 to 2,000
// cost the least; one pipeline of 10,000 needs 1.7 times the CPU.
const flush = 1000

// upstream is an open connection: one socket to a server, or one to each master
// of a cluster.
type upstream struct {
	settings settings
	name     string // tells the server who is connecting; may be empty
	dialer   *dialer
	client   redis.UniversalClient
	tempo    tempo
}

// silent drops what the client library logs.
type silent struct{}

// Printf implements the library's logger.
func (silent) Printf(context.Context, string, ...any) {}

// open connects and waits for the answer to a PING.
func open(ctx context.Context, env scalers.Env, s settings) (*upstream, error) {
	// The library prints to stderr through a logger that all its clients share;
	// everything it says also comes back as an error. There is no logger per
	// client, and setting it is an atomic store: doing so on each Open needs
	// neither an init function nor a variable of ours.
	redis.SetLogger(silent{})
	if s.deployment == sentinel && s.sentinelMaster == "" {
		return nil, &scalers.Error{Kind: scalers.Invalid, Op: "connecting to " + s.where(), Hint: "set sentinelMaster"}
	}
	config, err := s.tlsConfig(env.RootCAs)
	if err != nil {
		return nil, err
	}
	u := &upstream{
		settings: s, name: env.ClientName, dialer: newDialer(config, env.Dial),
		tempo: tempo{survey: 15 * time.Second, heartbeat: 10 * time.Second, silence: 25 * time.Second},
	}
	u.client = u.connect()
	defer u.dialer.hangUpAfter(ctx)()
	if err := u.client.Ping(ctx).Err(); err != nil {
		return nil, errors.Join(u.failed(ctx, "connecting to "+s.where(), err), u.Close())
	}
	return u, nil
}

// connect makes the client, which dials when it is first used.
//
// Everywhere: one socket and no second pool for pipelines; one retry, at once,
// for sockets that died while idle, and no more, since the engine backs off; no
// CLIENT SETINFO, which small ACLs refuse; RESP2, which every server and proxy
// speaks and which is enough for numbers.
func (u *upstream) connect() redis.UniversalClient {
	s := u.settings
	switch s.deployment {
	case cluster:
		return redis.NewClusterClient(&redis.ClusterOptions{
			Addrs: s.addresses.Items(), Username: s.username, Password: s.password.Reveal(),
			Dialer: u.dialer.dial, OnConnect: u.introduce, Protocol: 2, DisableIdentity: true,
			PoolSize: 1, MaxActiveConns: 1, PipelinePoolSize: -1, ContextTimeoutEnabled: true,
			MaxRedirects: 2, MaxRetries: -1, MinRetryBackoff: -1, DialTimeout: connectTimeout, DialerRetries: 1,
			DisableRoutingPolicies:   true, // they need the COMMAND table; our commands name one key each
			MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		})
	case sentinel:
		return redis.NewFailoverClient(&redis.FailoverOptions{
			MasterName: s.sentinelMaster, SentinelAddrs: s.addresses.Items(),
			SentinelUsername: s.sentinelUsername, SentinelPassword: s.sentinelPassword.Reveal(),
			DB: int(s.database), Username: s.username, Password: s.password.Reveal(),
			Dialer: u.dialer.dial, OnConnect: u.introduce, Protocol: 2, DisableIdentity: true,
			// After PoolSize failures to find the master the library starts the
			// goroutine that dialer.dial avoids elsewhere. Only one socket is ever
			// needed at a time, whatever the size.
			PoolSize: 1 << 10, MaxIdleConns: 1, PipelinePoolSize: -1, ContextTimeoutEnabled: true,
			MaxRetries: 1, MinRetryBackoff: -1, DialTimeout: connectTimeout, DialerRetries: 1,
		})
	case standalone:
	}
	o := u.serverOptions(s.addresses.Items()[0], s.username, s.password.Reveal())
	o.DB = int(s.database)
	return redis.NewClient(o)
}

// serverOptions are the options for one server, or one sentinel.
func (u *upstream) serverOptions(addr, username, password string) *redis.Options {
	return &redis.Options{
		Addr: addr, Username: username, Password: password,
		Dialer: u.dialer.dial, OnConnect: u.introduce, Protocol: 2, DisableIdentity: true,
		PoolSize: 1, MaxActiveConns: 1, PipelinePoolSize: -1, ContextTimeoutEnabled: true,
		MaxRetries: 1, MinRetryBackoff: -1, DialTimeout: connectTimeout, DialerRetries: 1,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
}

// introduce names a new connection. The library's own option would fail the
// connection when the ACL refuses CLIENT SETNAME.
func (u *upstream) introduce(ctx context.Context, c *redis.Conn) error {
	if u.name == "" {
		return nil
	}
	err := c.ClientSetName(ctx, u.name).Err()
	if _, refused := replyOf(err); refused {
		return nil
	}
	return err
}

// ask sends commands in as few round trips as they need. Each command holds its
// own outcome; the error means that the connection failed for all of a pipeline.
func ask[C redis.Cmder](ctx context.Context, u *upstream, commands []C) error {
	defer u.dialer.hangUpAfter(ctx)()
	for part := range slices.Chunk(commands, flush) {
		p := u.client.Pipeline()
		for _, c := range part {
			if err := p.Process(ctx, c); err != nil {
				return u.failed(ctx, "measuring at "+u.settings.where(), err)
			}
		}
		_, first := p.Exec(ctx) // the error of the first command that has one, or of the connection
		for _, c := range part {
			if c.Err() == nil && !answered(c) {
				c.SetErr(cmp.Or(first, error(protocolError("it is missing"))))
			}
		}
		whole := !slices.ContainsFunc(part, func(c C) bool { return !u.settings.lost(c.Err()) })
		if ctx.Err() != nil || whole {
			return u.failed(ctx, "measuring at "+u.settings.where(), first)
		}
	}
	return nil
}

// unanswered is the value of an integer command before its reply is in.
const unanswered = -1

// integer makes a command whose answer is a number that is never negative.
func integer(ctx context.Context, command, key string) *redis.IntCmd {
	c := redis.NewIntCmd(ctx, command, key)
	c.SetVal(unanswered)
	return c
}

// answered reports whether the reply to a command was read. When a connection
// cannot be made because the server refuses the login, the client library says
// so for the pipeline but not on its commands: they would all be zero.
func answered(c redis.Cmder) bool {
	switch c := c.(type) {
	case *redis.IntCmd:
		return c.Val() != unanswered
	case *redis.StatusCmd:
		return c.Val() != ""
	case *redis.StringCmd:
		return c.Val() != ""
	case *redis.XPendingCmd:
		return c.Val() != nil
	case *redis.XInfoGroupsCmd:
		return c.Val() != nil
	}
	return false
}

// failed makes the error of a whole operation. When ctx has ended, that is why:
// what the library says then is only the noise of connections being cut.
func (u *upstream) failed(ctx context.Context, op string, err error) error {
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return u.settings.failure(op, err)
}

// Close implements scalers.Source.
func (u *upstream) Close() error {
	u.dialer.close()
	if err := u.client.Close(); err != nil && !errors.Is(err, redis.ErrClosed) {
		return u.settings.failure("closing the connection to "+u.settings.where(), err)
	}
	return nil
}
