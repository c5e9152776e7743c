package nats_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-sh/weir/pkg/scalers"
)

// servers answers requests from a table, by scheme, host and path.
type servers struct {
	mu     sync.Mutex
	bodies map[string]string
	asked  []string
}

// RoundTrip implements http.RoundTripper.
func (s *servers) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	url := r.URL.Scheme + "://" + r.URL.Host + r.URL.Path
	s.asked = append(s.asked, url)
	switch body := s.bodies[url]; body {
	case "":
		return nil, errors.New("nobody is there")
	case "hang":
		s.mu.Unlock()
		<-r.Context().Done()
		s.mu.Lock()
		return nil, r.Context().Err()
	default:
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(body)), Request: r, Header: http.Header{}}, nil
	}
}

func (s *servers) set(url, body string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bodies[url] = body
}

// count returns how often url was asked.
func (s *servers) count(url string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(slices.DeleteFunc(slices.Clone(s.asked), func(u string) bool { return u != url }))
}

// varz is what a server says of itself.
func varz(name string, connect, routes []string) string {
	return fmt.Sprintf(`{"server_id": "ID-%s", "server_name": %q, "connect_urls": [%s], "cluster": {"urls": [%s]}}`, name, name, quoted(connect), quoted(routes))
}

func quoted(items []string) string {
	var out []string
	for _, i := range items {
		out = append(out, fmt.Sprintf("%q", i))
	}
	return strings.Join(out, ",")
}

// jsz is what a server says of consumers of stream s, given by name, leader and
// pending messages.
func jsz(name string, consumers ...any) string {
	var list []string
	for i := 0; i < len(consumers); i += 3 {
		list = append(list, fmt.Sprintf(`{"name": %q, "cluster": {"leader": %q}, "num_pending": %d, "num_ack_pending": 1}`, consumers[i], consumers[i+1], consumers[i+2]))
	}
	return fmt.Sprintf(`{"server_id": "ID-%s", "meta_cluster": {"cluster_size": 3}, "account_details": [
		{"name": "OTHER", "id": "X", "stream_detail": []},
		{"name": "SHOP", "id": "AABB", "stream_detail": [{"name": "s", "consumer_detail": [%s]}]}]}`, name, strings.Join(list, ","))
}

func TestTheServersOfACluster(t *testing.T) {
	const hint = "; let every server's monitoring port be reached under the name or address that /varz tells"
	routes := []string{"n-1.nats:6222", "n-2.nats:6222"}
	c := parse(t, values("nats:8222", "s", "c"))
	for name, at := range map[string]struct {
		bodies map[string]string
		want   string
	}{
		"found by routes": {map[string]string{
			"nats:8222/varz": varz("n-1", nil, routes), "nats:8222/jsz": jsz("n-1", "c", "n-2", 5),
			"n-1.nats:8222/varz": varz("n-1", nil, routes), "n-1.nats:8222/jsz": jsz("n-1", "c", "n-2", 5),
			"n-2.nats:8222/varz": varz("n-2", nil, routes), "n-2.nats:8222/jsz": jsz("n-2", "c", "n-2", 7),
		}, "8"},
		"advertised to clients": {map[string]string{
			"nats:8222/varz": varz("n-1", []string{"10.0.0.1:4222", "nats://10.0.0.2:4222", "[::1]:4222"}, routes), "nats:8222/jsz": jsz("n-1"),
			"10.0.0.1:8222/varz": varz("n-1", nil, routes), "10.0.0.1:8222/jsz": jsz("n-1"),
			"10.0.0.2:8222/varz": varz("n-2", nil, routes), "10.0.0.2:8222/jsz": jsz("n-2", "c", "n-2", 7),
			"[::1]:8222/varz": varz("n-3", nil, routes), "[::1]:8222/jsz": jsz("n-3", "c", "n-2", 3),
		}, "8"},
		"the endpoint's own server leads": {map[string]string{
			"nats:8222/varz": varz("n-1", nil, routes), "nats:8222/jsz": jsz("n-1", "c", "n-1", 5),
		}, "6"},
		"no leader": {map[string]string{
			"nats:8222/varz": varz("n-1", nil, nil), "nats:8222/jsz": jsz("n-1", "c", "", 5),
		}, `Unreachable measuring consumer "c" of stream "s": it has no leader`},
		"a leader that does not answer": {map[string]string{
			"nats:8222/varz": varz("n-1", nil, routes), "nats:8222/jsz": jsz("n-1", "c", "n-2", 5),
		}, `Unreachable measuring consumer "c" of stream "s": its leader "n-2" does not answer` + hint},
		"missing while a server is silent": {map[string]string{
			"nats:8222/varz": varz("n-1", nil, routes), "nats:8222/jsz": jsz("n-1"),
		}, `Unreachable measuring consumer "c" of stream "s": not every server was asked: a server of the cluster does not answer`},
		"missing everywhere": {map[string]string{
			"nats:8222/varz": varz("n-1", nil, routes[:1]), "nats:8222/jsz": jsz("n-1"),
			"n-1.nats:8222/varz": varz("n-1", nil, routes[:1]), "n-1.nats:8222/jsz": jsz("n-1", "d", "n-1", 1),
		}, `NotFound measuring consumer "c" of stream "s": the consumer does not exist; create it as a durable consumer`},
		"a page": {map[string]string{"nats:8222/jsz": "<html>"}, "BadAnswer all reading the account's JetStream at http://nats:8222: the answer is not JSON: invalid character '<' looking for beginning of value; check that the address is the API's and not a proxy's or a page's"},
		"nobody": {nil, "Unreachable all reading the account's JetStream at http://nats:8222: nobody is there"},
		"no list of servers": {
			map[string]string{"nats:8222/jsz": jsz("n-1")},
			"Unreachable all asking http://nats:8222 for the servers of the cluster: nobody is there",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := &servers{bodies: map[string]string{}}
			for url, body := range at.bodies {
				s.bodies["http://"+url] = body
			}
			conn := open(t, c, s)
			for range 2 {
				if got := fetch(t, conn, c)[0]; got != at.want {
					t.Fatalf("got  %s\nwant %s", got, at.want)
				}
			}
		})
	}
}

func TestAServerUnderANewIdentityIsLookedUpAgain(t *testing.T) {
	const node = "https://n-1.nats:8222"
	s := &servers{bodies: map[string]string{
		"https://nats:8222/varz": varz("n-1", nil, []string{"n-1:1"}), "https://nats:8222/jsz": jsz("n-1"),
		node + "/varz": varz("n-1", nil, nil), node + "/jsz": jsz("n-1", "c", "n-1", 5),
	}}
	c := parse(t, values("nats:8222", "s", "c", "useHttps", "true"))
	conn := open(t, c, s)
	for range 3 {
		if got := fetch(t, conn, c)[0]; got != "6" {
			t.Fatal(got)
		}
	}
	if n := s.count(node + "/varz"); n != 1 {
		t.Errorf("it was asked for its name %d times, want 1", n)
	}
	for _, url := range []string{"https://nats:8222", node} { // it was restarted
		s.set(url+"/varz", strings.ReplaceAll(varz("n-1", nil, []string{"n-1:1"}), "ID-", "NEW-"))
		s.set(url+"/jsz", strings.ReplaceAll(jsz("n-1", "c", "n-1", 8), "ID-", "NEW-"))
	}
	if got := fetch(t, conn, c)[0]; got != "9" {
		t.Error(got)
	}
}

func TestAServerThatDoesNotAnswerEndsWithTheContext(t *testing.T) {
	s := &servers{bodies: map[string]string{"http://nats:8222/jsz": "hang"}}
	c := parse(t, values("nats:8222", "s", "c"))
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := open(t, c, s).Fetch(ctx, []scalers.Query{c.Query})
	if scalers.KindOf(err) != scalers.Unreachable || time.Since(began) > 2*time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
}
