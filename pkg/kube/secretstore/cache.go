package secretstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/weir-sh/weir/pkg/scalers"
)

// The defaults of Config.
const (
	// DefaultTTL is short enough that a secret rotated in a store counts soon, and
	// long enough that a store sees one read a minute of each secret.
	DefaultTTL     = time.Minute
	defaultTimeout = 10 * time.Second
	defaultSize    = 10_000
)

const (
	// firstRetry is the rest after the first failure; each further one doubles it,
	// up to the TTL.
	firstRetry = 5 * time.Second
	// least is the shortest time that anything is kept.
	least = time.Second
	// forgetAfter is how long a secret is kept that nobody asks for although it
	// should have been read anew.
	forgetAfter = 10 * time.Minute
)

// Config is what a Cache needs.
type Config struct {
	// Name of the kind of store, for log and metric: "hashiCorpVault".
	Name string
	// TTL is how long a secret is used before it is read anew, where the store
	// itself does not say; zero means DefaultTTL.
	TTL time.Duration
	// Timeout bounds one read with the login it needs; zero means 10 seconds.
	Timeout time.Duration
	// Size is how many secrets are kept; zero means 10,000. Those asked for longest
	// ago go first.
	Size int
	// Log gets a line when a store stops answering, and when it answers again. It
	// must be set.
	Log *slog.Logger
	// Observe is called after each read with its result: "ok", the kind of its
	// error as package scalers has them or, for a secret that is used past its
	// time, "Stale". It must not block; nil is allowed.
	Observe func(result string)
}

// Cache reads secrets of one kind of store, each once for everybody. It is safe
// for concurrent use.
//
// A secret is kept for the TTL. A definite answer against it (there is none, or
// it may not be read) drops it and is kept for a short while, longer each time.
// A store that does not answer is asked again after a short while, longer each
// time; until then nothing of it is read, and secrets read before stay in use.
type Cache[L, I comparable] struct {
	store Store[L, I]
	cfg   Config
	life  context.Context //nolint:containedctx // that of the cache: a read serves more callers than the one that began it
	stop  context.CancelFunc
	wg    sync.WaitGroup

	mu       sync.Mutex // guards the rest and what it holds; never held while reading
	closed   bool
	swept    time.Time
	entries  map[key[L, I]]*entry
	sessions map[L]*session[I]
}

type key[L, I comparable] struct {
	login L
	item  I
}

// entry is one secret.
type entry struct {
	used    time.Time
	reading chan struct{} // closed when the read that runs has ended; nil when none runs
	until   time.Time     // when to read anew; zero before the first answer

	known    bool // there is a secret
	fields   map[string]string
	dead     time.Time // when the secret is not to be used any more; zero means never
	err      error     // the definite answer against it
	failures int
}

// session is one login.
type session[I comparable] struct {
	entries int // how many there are of it

	once   sync.Once
	opened Session[I]
	err    error

	failures int
	retry    time.Time // no reads before; zero when the store answers
	down     error     // why
}

// New makes a Cache. It starts nothing; Close it after use.
func New[L, I comparable](store Store[L, I], c Config) *Cache[L, I] {
	if c.TTL <= 0 {
		c.TTL = DefaultTTL
	}
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	if c.Size <= 0 {
		c.Size = defaultSize
	}
	if c.Observe == nil {
		c.Observe = func(string) {}
	}
	out := &Cache[L, I]{store: store, cfg: c, entries: map[key[L, I]]*entry{}, sessions: map[L]*session[I]{}}
	out.life, out.stop = context.WithCancel(context.Background()) //nolint:gosec // Close calls it
	return out
}

// Close ends the reads that run, waits for them, and closes all sessions. A Read
// after it is an error.
func (c *Cache[L, I]) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.stop()
	c.wg.Wait()
	var errs []error
	for _, s := range c.sessions {
		errs = append(errs, s.close())
	}
	return errors.Join(errs...)
}

// Read implements Reader. It waits for the store only where there is nothing
// that may be used; a read goes on for others when ctx ends.
func (c *Cache[L, I]) Read(ctx context.Context, login L, item I) (Reading, error) {
	for {
		c.mu.Lock()
		if c.closed {
			c.mu.Unlock()
			return Reading{FreshFor: least}, errors.New("reading a secret: the cache is closed")
		}
		now := time.Now()
		e, s := c.entry(now, key[L, I]{login, item})
		reading, err, ok := c.answer(now, e, s)
		if !ok && e.reading == nil {
			done := make(chan struct{})
			e.reading = done
			c.wg.Go(func() { c.refresh(login, item, e, s, done) })
		}
		wait := e.reading
		c.mu.Unlock()
		if ok {
			if reading.Stale {
				c.cfg.Observe("Stale")
			}
			return reading, err
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return Reading{FreshFor: least}, fmt.Errorf("waiting for the secret store: %w", context.Cause(ctx))
		}
	}
}

// answer says what is known without asking the store; not ok when it must be
// asked. The caller holds mu.
func (c *Cache[L, I]) answer(now time.Time, e *entry, s *session[I]) (r Reading, err error, ok bool) {
	usable := e.known && (e.dead.IsZero() || now.Before(e.dead))
	switch {
	case now.Before(e.until):
		return Reading{Fields: e.fields, FreshFor: max(e.until.Sub(now), least)}, e.err, true
	case now.Before(s.retry) && usable:
		return Reading{Fields: e.fields, FreshFor: max(s.retry.Sub(now), least), Stale: true}, nil, true
	case now.Before(s.retry):
		return Reading{FreshFor: max(s.retry.Sub(now), least)}, s.down, true
	}
	return Reading{}, nil, false
}

// refresh asks the store and files what it says.
func (c *Cache[L, I]) refresh(login L, item I, e *entry, s *session[I], done chan struct{}) {
	ctx, cancel := context.WithTimeout(c.life, c.cfg.Timeout)
	defer cancel()
	var secret Secret
	s.once.Do(func() { s.opened, s.err = c.store.Open(login) })
	err := s.err
	if err == nil {
		secret, err = s.opened.Read(ctx, item)
	}
	result := "ok"
	if err != nil {
		result = string(scalers.KindOf(err))
	}
	c.mu.Lock()
	now := time.Now()
	var changed error
	switch {
	case c.closed:
		// What ended the read may have been Close.
	case err == nil:
		e.keep(now, secret, c.cfg.TTL)
		changed = s.answers()
	case !Definite(err):
		changed = s.fails(now, err, c.cfg.TTL)
	default:
		e.refuse(now, err, c.cfg.TTL)
		changed = s.answers()
	}
	e.reading = nil
	close(done)
	c.mu.Unlock()
	c.cfg.Observe(result)
	switch {
	case changed == nil:
	case err != nil && !Definite(err):
		c.cfg.Log.Warn("a secret store does not answer; secrets read before stay in use", slog.String("store", c.cfg.Name), slog.Any("error", err))
	default:
		c.cfg.Log.Info("a secret store answers again", slog.String("store", c.cfg.Name))
	}
}

// keep files a secret.
func (e *entry) keep(now time.Time, s Secret, ttl time.Duration) {
	e.known, e.fields, e.err, e.failures, e.dead = true, s.Fields, nil, 0, time.Time{}
	if s.Life > 0 {
		ttl = s.Life / 5 * 4
		e.dead = now.Add(s.Life)
	}
	e.until = now.Add(max(ttl, least))
}

// refuse files a definite answer against the secret.
func (e *entry) refuse(now time.Time, err error, ttl time.Duration) {
	e.known, e.fields, e.err = false, nil, err
	e.until = now.Add(backOff(e.failures, ttl))
	e.failures++
}

// fails notes that the store does not answer; it returns the error when that is
// new. Of several reads that fail together one counts.
func (s *session[I]) fails(now time.Time, err error, ttl time.Duration) error {
	if now.Before(s.retry) {
		return nil
	}
	before := s.down
	rest := backOff(s.failures, ttl)
	if e, ok := errors.AsType[*scalers.Error](err); ok {
		rest = max(rest, min(e.RetryAfter, ttl))
	}
	s.down, s.retry = err, now.Add(rest)
	s.failures++
	if before == nil {
		return err
	}
	return nil
}

// answers notes that the store does; it returns what was wrong before.
func (s *session[I]) answers() error {
	before := s.down
	s.down, s.retry, s.failures = nil, time.Time{}, 0
	return before
}

func (s *session[I]) close() error {
	if s.opened == nil {
		return nil
	}
	return s.opened.Close()
}

// backOff is the rest after that many failures before.
func backOff(failures int, most time.Duration) time.Duration {
	return max(least, min(firstRetry<<min(failures, 16), most))
}

// entry returns the entry of a secret and its session, made if need be. The
// caller holds mu.
func (c *Cache[L, I]) entry(now time.Time, k key[L, I]) (*entry, *session[I]) {
	e := c.entries[k]
	if e == nil {
		c.sweep(now)
		e = new(entry)
		c.entries[k] = e
		s := c.sessions[k.login]
		if s == nil {
			s = new(session[I])
			c.sessions[k.login] = s
		}
		s.entries++
	}
	e.used = now
	return e, c.sessions[k.login]
}

// sweep makes room for an entry: at most once in a while it drops those that
// nobody asks for any more, and when there are too many a tenth of all. The
// caller holds mu.
func (c *Cache[L, I]) sweep(now time.Time) {
	full := len(c.entries) >= c.cfg.Size
	if !full && now.Sub(c.swept) < forgetAfter {
		return
	}
	c.swept = now
	var idle []key[L, I]
	for k, e := range c.entries {
		if e.reading != nil {
			continue
		}
		if now.Sub(e.used) > forgetAfter && now.Sub(e.until) > forgetAfter {
			c.drop(k)
		} else {
			idle = append(idle, k)
		}
	}
	if len(c.entries) < c.cfg.Size {
		return
	}
	slices.SortFunc(idle, func(a, b key[L, I]) int { return c.entries[a].used.Compare(c.entries[b].used) })
	for _, k := range idle[:min(len(idle), c.cfg.Size/10+1)] {
		c.drop(k)
	}
}

// drop forgets an entry and, with the last one, its session. The caller holds mu.
func (c *Cache[L, I]) drop(k key[L, I]) {
	delete(c.entries, k)
	s := c.sessions[k.login]
	if s.entries--; s.entries > 0 {
		return
	}
	delete(c.sessions, k.login)
	if err := s.close(); err != nil {
		c.cfg.Log.Debug("closing a session of a secret store failed", slog.String("store", c.cfg.Name), slog.Any("error", err))
	}
}
