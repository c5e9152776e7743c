package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// steady is what a steady state costs.
type steady struct {
	load     float64 // the machine's load average over the last minute, at the end
	polling  int     // connections
	watching int
	commands float64 // at Redis, per minute
	reads    float64 // by Redis from its sockets, per minute
	fetches  float64 // by weir, per minute
	trips    float64 // round trips, per minute, at most
	largest  int     // batch
	rss, top int64   // resident memory: mean, and the most there ever was
	heap     float64 // bytes in use
	routines float64
	cpu      float64 // seconds per minute
	writes   map[string]int
	perMin   float64 // writes per minute
	reviews  float64 // per minute
}

// instant is what the counters say at one moment.
type instant struct {
	at      time.Time
	calls   map[string]int64
	reads   int64
	cpu     time.Duration
	sources stats
}

// settle waits until weir has written nothing for a while: longer than the 10 s
// after which an event that the API server refused is sent again. When that takes
// too long it says so and goes on: what is measured then shows the writes.
func (b *bed) settle(ctx context.Context) error {
	const quiet = 12 * time.Second
	limit := 3*time.Minute + hpaPeriod(b.n) // what HPAs say of themselves changes at their pace
	began := time.Now()
	return b.await(ctx, "weir to have nothing more to write", 2*limit, func(context.Context) error {
		if err := b.audit.read(); err != nil {
			return err
		}
		switch spent := time.Since(began); {
		case spent > limit:
			b.log.say("%d: after %s weir still writes", b.n, limit)
		case spent < quiet || time.Since(b.audit.last()) < quiet:
			return errors.New("it still writes")
		}
		return nil
	})
}

// measureSteady measures for a window. name is for profiles.
func (b *bed) measureSteady(ctx context.Context, name string) (*steady, error) {
	b.log.say("%d: measuring for %s: %s", b.n, b.opts.window, name)
	before, err := b.instant(ctx)
	if err != nil {
		return nil, err
	}
	s := new(steady)
	g, during := errgroup.WithContext(ctx)
	if b.opts.profile != "" {
		g.Go(func() error { return b.profile(during, name) })
	}
	var sum, samples int64
	for time.Since(before.at) < b.opts.window {
		rss, err := b.memory("VmRSS")
		if err != nil {
			return nil, err
		}
		sum, samples = sum+rss, samples+1
		if err := pause(ctx, min(time.Second, time.Until(before.at.Add(b.opts.window)))); err != nil {
			return nil, err
		}
	}
	after, err := b.instant(ctx)
	if err != nil {
		return nil, err
	}
	s.rss = sum / samples
	if err := errors.Join(s.compare(before, after), b.look(ctx, s, before.at, after.at), g.Wait()); err != nil {
		return nil, err
	}
	b.log.say("%d: %s: %s resident, %.2f CPU seconds and %s writes per minute, load average %.1f", b.n, name, mib(s.rss), s.cpu, whole(s.perMin), s.load)
	return s, nil
}

// compare takes what lies between two moments.
func (s *steady) compare(before, after instant) error {
	minutes := after.at.Sub(before.at).Minutes()
	fetches := after.sources.Fetches - before.sources.Fetches
	measured := after.sources.Measured - before.sources.Measured
	s.commands = float64(commandsBetween(before.calls, after.calls)) / minutes
	s.reads = float64(after.reads-before.reads) / minutes
	s.fetches = float64(fetches) / minutes
	s.trips = float64(fetches+measured/pipeline) / minutes
	s.largest = after.sources.LargestBatch
	s.cpu = (after.cpu - before.cpu).Seconds() / minutes
	if after.sources.Failing > 0 {
		return fmt.Errorf("%d queries fail", after.sources.Failing)
	}
	return nil
}

// pipeline is how many commands weir sends to Redis before it reads the
// replies. A Fetch of n queries is n/pipeline round trips, rounded up.
const pipeline = 1000

// look takes what can be seen at the end.
func (b *bed) look(ctx context.Context, s *steady, from, to time.Time) error {
	list, err := b.redis.ClientList(ctx).Result()
	if err != nil {
		return fmt.Errorf("listing the clients of Redis: %w", err)
	}
	c := clients(list, "weir")
	s.polling, s.watching = len(c.polling), len(c.watching)
	if err := b.audit.read(); err != nil {
		return err
	}
	var reviews int
	s.writes, reviews = b.audit.between(from, to)
	minutes := to.Sub(from).Minutes()
	for _, n := range s.writes {
		s.perMin += float64(n) / minutes
	}
	s.reviews = float64(reviews) / minutes
	page, err := b.fetch(ctx, b.weir.Debug+"/metrics")
	if err != nil {
		return err
	}
	var errs [4]error
	s.heap, errs[0] = gauge(page, "go_memstats_heap_inuse_bytes")
	s.routines, errs[1] = gauge(page, "go_goroutines")
	s.top, errs[2] = b.memory("VmHWM")
	s.load, errs[3] = loadAverage()
	return errors.Join(errs[:]...)
}

func (b *bed) instant(ctx context.Context) (instant, error) {
	i := instant{at: time.Now()}
	text, err := b.redis.Info(ctx, "all").Result()
	if err != nil {
		return instant{}, fmt.Errorf("reading Redis' counters: %w", err)
	}
	var errs [4]error
	i.calls, errs[0] = commandCalls(text)
	i.reads, errs[1] = infoNumber(text, "total_reads_processed")
	i.cpu, errs[2] = b.cpu()
	i.sources, errs[3] = b.sources(ctx)
	return i, errors.Join(errs[:]...)
}

// cpu is the CPU time that weir has used.
func (b *bed) cpu() (time.Duration, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(b.weir.PID()), "stat"))
	if err != nil {
		return 0, fmt.Errorf("reading weir's CPU time: %w", err)
	}
	return cpuTime(string(text))
}

// memory reads a field of weir's /proc/PID/status.
func (b *bed) memory(field string) (int64, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(b.weir.PID()), "status"))
	if err != nil {
		return 0, fmt.Errorf("reading weir's memory: %w", err)
	}
	return kibibytes(string(text), field)
}

// loadAverage is the machine's, over the last minute.
func loadAverage() (float64, error) {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0, fmt.Errorf("reading the load average: %w", err)
	}
	first, _, _ := strings.Cut(string(text), " ")
	return strconv.ParseFloat(first, 64)
}

// fetch gets a page.
func (b *bed) fetch(ctx context.Context, url string) (_ string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", fmt.Errorf("asking weir: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", fmt.Errorf("asking weir: %w", err)
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", fmt.Errorf("asking weir: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("asking weir for %s: %s", url, resp.Status)
	}
	return string(body), nil
}

// pprofAddress is where weir serves profiles.
const pprofAddress = "127.0.0.1:16060"

// profile takes a CPU profile of the window, and one of the heap at its end.
func (b *bed) profile(ctx context.Context, name string) error {
	if err := os.MkdirAll(b.opts.profile, 0o700); err != nil {
		return fmt.Errorf("making the folder for profiles: %w", err)
	}
	for kind, path := range map[string]string{
		"cpu":  fmt.Sprintf("profile?seconds=%d", int(b.opts.window.Seconds())),
		"heap": "heap",
	} {
		data, err := b.fetch(ctx, "http://"+pprofAddress+"/debug/pprof/"+path)
		if err != nil {
			return err
		}
		file := filepath.Join(b.opts.profile, fmt.Sprintf("%d-%s-%s.pprof", b.n, name, kind))
		if err := os.WriteFile(file, []byte(data), 0o600); err != nil {
			return fmt.Errorf("writing a profile: %w", err)
		}
	}
	return nil
}
