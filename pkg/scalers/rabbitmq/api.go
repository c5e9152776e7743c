package rabbitmq

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/internal/httpx"
	"github.com/weir-sh/weir/pkg/scalers/internal/oauth"
)

// api is the management API under one identity.
type api struct {
	log    *slog.Logger
	client *httpx.Client
	base   string
	login  login
	tokens tokens // nil where there is a login
	slots  chan struct{}
	vhosts map[string]*vhost // touched by Fetch's goroutine before the others start
}

// parallel is how many requests run at a time.
const parallel = 8

func newAPI(env scalers.Env, s settings) (*api, error) {
	o := httpx.Options{Timeout: s.timeout, Conns: parallel, Name: env.ClientName}
	if s.secure.enabled || s.secure.tls.SkipVerify {
		c, err := s.secure.tls.Config(env.RootCAs)
		if err != nil {
			return nil, err
		}
		o.TLS = c
	}
	client, err := httpx.New(env.HTTP, o)
	if err != nil {
		return nil, err
	}
	a := &api{
		log: env.Log, client: client, base: s.base, login: s.login,
		slots: make(chan struct{}, parallel), vhosts: map[string]*vhost{},
	}
	switch {
	case s.oauth.Enabled():
		a.tokens, err = oauth.New(s.oauth, client.HTTP())
	case s.identity != identity{}:
		a.tokens, err = s.identity.open(env, s.base)
	}
	if err != nil {
		return nil, err
	}
	return a, nil
}

// tokens keep a token fresh.
type tokens interface {
	// Refresh gets a token when there is none that is good.
	Refresh(ctx context.Context) error
	// Authorize puts the token on a request.
	Authorize(r *http.Request)
}

// Close implements scalers.Source.
func (a *api) Close() error { return a.client.Close() }

// Fetch implements scalers.Source. An unreachable or throttling server fails it
// as a whole, and so do credentials that are refused for every query.
func (a *api) Fetch(ctx context.Context, queries []query) ([]scalers.Reading, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if a.tokens != nil {
		if err := a.tokens.Refresh(ctx); err != nil {
			return nil, err
		}
	}
	// What was learned is forgotten after a while, so that it is learned anew.
	maps.DeleteFunc(a.vhosts, func(_ string, v *vhost) bool { return time.Since(v.since) > learnedFor })
	out := make([]scalers.Reading, len(queries))
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(parallel)
	for name, part := range byVhost(queries) {
		v := a.vhost(name)
		work.Go(func() error { return v.fetch(ctx, queries, part, out) })
	}
	if err := work.Wait(); err != nil {
		return nil, err
	}
	return out, refusedAll(out)
}

// vhost returns what is known of a virtual host.
func (a *api) vhost(name string) *vhost {
	v := a.vhosts[name]
	if v == nil {
		v = &vhost{api: a, name: name, since: time.Now(), queues: -1}
		a.vhosts[name] = v
	}
	return v
}

func byVhost(queries []query) map[string][]int {
	out := map[string][]int{}
	for i, q := range queries {
		out[q.vhost] = append(out[q.vhost], i)
	}
	return out
}

// refusedAll returns the error of the readings when all of them failed for their
// credentials.
func refusedAll(readings []scalers.Reading) error {
	for _, r := range readings {
		if scalers.KindOf(r.Err) != scalers.Unauthorized {
			return nil
		}
	}
	if len(readings) == 0 {
		return nil
	}
	return readings[0].Err
}

// wholesale reports whether an error concerns the server and not one request.
func wholesale(err error) bool {
	k := scalers.KindOf(err)
	return k == scalers.Unreachable || k == scalers.Throttled
}

// get asks below the API's address. Params are names and values in turn, sent in
// this order.
func (a *api) get(ctx context.Context, op, path string, params []string, into any) error {
	select {
	case a.slots <- struct{}{}:
		defer func() { <-a.slots }()
	case <-ctx.Done():
		return &scalers.Error{Kind: scalers.Unreachable, Op: op, Err: context.Cause(ctx)}
	}
	var address strings.Builder
	address.WriteString(a.base + "/api/" + path)
	for i := 0; i+1 < len(params); i += 2 {
		sep := "&"
		if i == 0 {
			sep = "?"
		}
		address.WriteString(sep + params[i] + "=" + url.QueryEscape(params[i+1]))
	}
	err := a.client.GetJSON(ctx, op, address.String(), a.authorize, into)
	if e, ok := errors.AsType[*scalers.Error](err); ok && e.Kind == scalers.Unauthorized {
		e.Hint = "check the credentials, grant the user the management or monitoring tag, and access to the virtual host"
	}
	return err
}

func (a *api) authorize(r *http.Request) {
	switch {
	case a.tokens != nil:
		a.tokens.Authorize(r)
	case a.login != login{}:
		r.SetBasicAuth(a.login.user.Reveal(), a.login.password.Reveal())
	}
}

// one reads one queue.
func (v *vhost) one(ctx context.Context, q query) (queue, error) {
	var found queue
	err := v.api.get(ctx, q.op(), "queues/"+v.escaped()+"/"+url.PathEscape(q.name), nil, &found)
	if e, ok := errors.AsType[*scalers.Error](err); ok && e.Kind == scalers.NotFound {
		e.Err, e.Hint = errMissing, "declare the queue, or correct its name or the virtual host"
	}
	if err == nil && found.Name != "" && found.Name != q.name {
		err = &scalers.Error{Kind: scalers.BadAnswer, Op: q.op(), Err: errors.New("the server told of another queue")}
	}
	return found, err
}

// matching lets the server match a regular expression.
func (v *vhost) matching(ctx context.Context, q query) ([]queue, error) {
	var found struct {
		Items []queue `json:"items"`
		Pages int     `json:"page_count"`
	}
	err := v.api.get(ctx, q.op(), "queues/"+v.escaped(), []string{
		"page", "1", "use_regex", "true", "pagination", "false", "name", q.name, "page_size", strconv.FormatInt(q.pageSize, 10),
	}, &found)
	e, typed := errors.AsType[*scalers.Error](err)
	status, answered := errors.AsType[*httpx.StatusError](err)
	switch {
	case typed && answered && status.Status == http.StatusBadRequest:
		e.Kind, e.Hint = scalers.Invalid, "correct the regular expression; pageSize may be at most 500"
	case typed && e.Kind == scalers.NotFound:
		e.Hint = noVhost
	case err == nil && found.Pages > 1:
		err = &scalers.Error{
			Kind: scalers.Invalid, Op: q.op(), Err: errors.New("more queues match than fit on one page"),
			Hint: "raise pageSize, or narrow the regular expression",
		}
	}
	return found.Items, err
}

const noVhost = "create the virtual host, or correct its name"

var errMissing = errors.New("it does not exist")
