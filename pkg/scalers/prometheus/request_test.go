package prometheus_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
	"github.com/weir-sh/weir/pkg/scalers/prometheus"
	"github.com/weir-sh/weir/pkg/scalers/scalertest"
)

func TestConformance(t *testing.T) {
	url := start(t)
	at := func(query string, pairs ...string) param.Values {
		return values(url, nil, append(pairs, "query", query)...)
	}
	scalertest.Run(t, prometheus.Scaler, []scalertest.Case{
		{Name: "a sum", Values: at("sum(jobs)"), Want: 12, MetricName: "s0-prometheus"},
		{Name: "one series, over several lines", Values: at("jobs{\n  queue=\"a\"\n}"), Want: 7},
		{Name: "a query that finds nothing", Values: at("none"), Empty: true},
		{Name: "a query that finds nothing, where that is an error", Values: at("none", "ignoreNullValues", "false"), Err: "the result is empty", Kind: scalers.BadAnswer, Empty: true},
		{Name: "NaN", Values: at("odd")},
		{Name: "infinity, where that is an error", Values: at("sum(jobs)/0", "ignoreNullValues", "false"), Err: "the value is not finite", Kind: scalers.BadAnswer},
		{Name: "two samples", Values: at("jobs"), Err: "the result has 2 samples", Kind: scalers.BadAnswer},
		{Name: "a scalar", Values: at("7"), Err: "no vector but a scalar", Kind: scalers.BadAnswer},
		{Name: "a wrapped scalar", Values: at("vector(7)"), Want: 7},
		{Name: "a matrix", Values: at("jobs[1m]"), Err: "no vector but a matrix", Kind: scalers.BadAnswer},
		{Name: "a query that does not parse", Values: at("sum("), Err: "parse error", Kind: scalers.Invalid},
		{Name: "a query that fails", Values: at("jobs * on() jobs"), Err: "duplicate series", Kind: scalers.BadAnswer},
		{Name: "another path", Values: values(url+"/none", nil), Err: "status 404", Kind: scalers.NotFound},
	})
}

func TestTheRequest(t *testing.T) {
	var got atomic.Pointer[http.Request]
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got.Store(r)
		write(t, w, sample("2.5"))
	})
	v := values(url+"/mimir/", nil, "query", `sum(jobs{a="b&c"})`, "namespace", "n 1", "queryParameters", "a=b c, partial=&", "customHeaders", "X-Scope-OrgID=shop,A= 1 ")
	v.Metadata["serverAddress"] += "?dedup=true"
	before := time.Now().Add(-2 * time.Second)
	if r := measure(t, v); r.Err != nil || r.Value != 2.5 {
		t.Fatalf("got %v, %v", r.Value, r.Err)
	}
	r := got.Load()
	head, stamp, _ := strings.Cut(r.RequestURI, "&time=")
	stamp, tail, _ := strings.Cut(stamp, "&")
	if r.Method != http.MethodGet || head != "/mimir/api/v1/query?dedup=true&query=sum%28jobs%7Ba%3D%22b%26c%22%7D%29" || tail != "namespace=n+1&a=b+c&partial=%26" {
		t.Errorf("%s %s", r.Method, r.RequestURI)
	}
	at, err := time.Parse(time.RFC3339, strings.ReplaceAll(stamp, "%3A", ":"))
	if err != nil || at.Before(before) || at.After(time.Now()) || !strings.HasSuffix(stamp, "Z") {
		t.Errorf("time %s, %v", stamp, err)
	}
	if r.Header.Get("X-Scope-OrgID") != "shop" || r.Header.Get("A") != "1" || r.UserAgent() != "weir" {
		t.Errorf("headers %v", r.Header)
	}
}

func TestFiveHundredQueriesShareRequestsAndConnections(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("with HTTP 2 %v", http2), func(t *testing.T) { shareRequests(t, http2) })
	}
}

func shareRequests(t *testing.T, http2 bool) {
	t.Helper()
	var requests, connections atomic.Int32
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if r.URL.Query().Get("query") == "q13" {
			w.WriteHeader(http.StatusBadRequest)
		}
		write(t, w, sample(strings.TrimPrefix(r.URL.Query().Get("query"), "q")))
	}))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	if srv.EnableHTTP2 = http2; http2 {
		srv.StartTLS()
	} else {
		srv.Start()
	}
	defer srv.Close()
	all := make([]param.Values, 500)
	for i := range all {
		all[i] = values(srv.URL, nil, "query", fmt.Sprintf("q%d", i/2), "ignoreNullValues", fmt.Sprint(i%2 == 0), "unsafeSsl", "true")
	}
	conn := connect(t, all[0])
	for range 2 {
		for i, r := range fetch(t, conn, all...) {
			if i/2 == 13 {
				if scalers.KindOf(r.Err) != scalers.Invalid {
					t.Errorf("query %d: %v", i, r.Err)
				}
			} else if r.Err != nil || r.Value != float64(i/2) {
				t.Errorf("query %d: %v, %v", i, r.Value, r.Err)
			}
		}
	}
	if requests.Load() != 500 || connections.Load() > 8 {
		t.Errorf("%d requests over %d connections for 2 rounds of 500 triggers with 250 queries", requests.Load(), connections.Load())
	}
}

func TestASlowServerEndsWithTheContext(t *testing.T) {
	arrived := make(chan struct{}, 8)
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-r.Context().Done()
	})
	v := values(url, nil)
	conn := connect(t, v)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-arrived
		cancel()
	}()
	readings, err := conn.Fetch(ctx, []scalers.Query{parse(t, v).Query})
	if err != nil || scalers.KindOf(readings[0].Err) != scalers.Unreachable || !errors.Is(readings[0].Err, context.Canceled) {
		t.Errorf("%v, %v", readings, err)
	}
	r := measure(t, values(url, nil, "timeout", "20ms"))
	if fmt.Sprint(r.Err) != "asking for the result of the query: no answer in time: context deadline exceeded" {
		t.Errorf("timeout: %v", r.Err)
	}
}

func TestTokensAreFetchedOnceForManyQueries(t *testing.T) {
	var tokens atomic.Int32
	idp := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		tokens.Add(1)
		w.Header().Set("Content-Type", "application/json")
		write(t, w, `{"access_token":"t0ken","token_type":"bearer","expires_in":3600}`)
	})
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer t0ken" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		write(t, w, sample("1"))
	})
	auth := kv{"oauthTokenURI": idp, "clientID": "weir", "clientSecret": "s3cret"}
	one, two := values(url, auth, "authModes", "oauth"), values(url, auth, "authModes", "oauth", "query", "r")
	conn := connect(t, one)
	for range 3 {
		for i, r := range fetch(t, conn, one, two) {
			if r.Err != nil || r.Value != 1 {
				t.Errorf("%d: %v, %v", i, r.Value, r.Err)
			}
		}
	}
	if tokens.Load() != 1 {
		t.Errorf("%d tokens were fetched", tokens.Load())
	}
}
