package vault_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-sh/weir/pkg/kube/secretstore"
	"github.com/weir-sh/weir/pkg/scalers/param"
	fake "github.com/weir-sh/weir/test/fakes/vault"
)

// pipes is a network in memory, which a bubble of virtual time can hold.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	c, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (p pipes) Close() error {
	close(p)
	return nil
}

func (p pipes) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "unix"} }

// world is a server with a session on it.
type world struct {
	*testing.T
	*fake.Server
	read func() string // reads a secret and writes what came of it
}

// bubble runs f with a session on a server, in virtual time.
func bubble(t *testing.T, login secretstore.VaultLogin, f func(w world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := fake.New()
		furnish(s)
		network := make(pipes)
		server := &http.Server{Handler: s, ErrorLog: log.New(io.Discard, "", 0), ReadHeaderTimeout: time.Hour}
		done := make(chan error)
		go func() { done <- server.Serve(network) }()
		web := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) {
			here, there := net.Pipe()
			network <- there
			return here, nil
		}}}
		login.Address = "http://vault"
		session := open(t, web, login)
		f(world{t, s, func() string {
			got, err := session.Read(t.Context(), secretstore.VaultItem{Path: "kv2/data/a"})
			return show(got, err, "http://vault")
		}})
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
}

// counts are how often a server was asked to log in, look up and renew.
func counts(s *fake.Server) string {
	return fmt.Sprintf("logins %d, lookups %d, renewals %d", s.Count(fake.Login), s.Count(fake.Lookup), s.Count(fake.Renew))
}

func TestLoginsAreKeptAndRenewed(t *testing.T) {
	t.Parallel()
	worker := secretstore.VaultLogin{Mount: "kubernetes", Account: secretstore.ServiceAccount{Name: "a"}}
	short := worker
	worker.Role, short.Role = "worker", "short"
	token := secretstore.VaultLogin{Token: param.NewSecret("canary-renewable")}
	for _, tc := range []struct {
		name  string
		login secretstore.VaultLogin
		want  string
	}{
		{"by a role whose tokens are renewed", worker, "logins 1, lookups 0, renewals 4"},
		{"by a role whose tokens are replaced", short, "logins 5, lookups 0, renewals 0"},
		{"by a token that is renewed", token, "logins 0, lookups 1, renewals 4"},
	} {
		bubble(t, tc.login, func(w world) {
			w.SetToken("canary-renewable", fake.Role{TTL: time.Hour, Renewable: true})
			for range 220 { // 48 minutes are four fifths of an hour
				if out := w.read(); out != "user=u2" {
					w.Fatalf("%s: %s", tc.name, out)
				}
				time.Sleep(time.Minute)
			}
			if got := counts(w.Server); got != tc.want {
				w.Errorf("%s: %s, want %s", tc.name, got, tc.want)
			}
		})
	}
}

func TestARevokedTokenIsReplaced(t *testing.T) {
	t.Parallel()
	bubble(t, secretstore.VaultLogin{Mount: "kubernetes", Role: "worker", Account: secretstore.ServiceAccount{Name: "a"}}, func(w world) {
		first := w.read()
		w.Revoke()
		if second := w.read(); first != "user=u2" || second != first {
			w.Errorf("read %s, then %s", first, second)
		}
		if got := counts(w.Server); got != "logins 2, lookups 0, renewals 0" {
			w.Error(got)
		}
	})
}

func TestATokenThatEndsCannotBeSaved(t *testing.T) {
	t.Parallel()
	bubble(t, secretstore.VaultLogin{Token: param.NewSecret("canary-ends")}, func(w world) {
		w.SetToken("canary-ends", fake.Role{TTL: time.Hour})
		if out := w.read(); out != "user=u2" {
			w.Error(out)
		}
		time.Sleep(time.Hour)
		const want = `Unauthorized: reading Vault secret "kv2/data/a" from http://vault: status 403: permission denied, invalid token; let a policy of the login allow it`
		if out := strings.ReplaceAll(w.read(), "ADDRESS", "http://vault"); out != want {
			w.Error(out)
		}
	})
}

func TestALoginOutlivesAnOutageOfTheLogin(t *testing.T) {
	t.Parallel()
	bubble(t, secretstore.VaultLogin{Mount: "kubernetes", Role: "short", Account: secretstore.ServiceAccount{Name: "a"}}, func(w world) {
		first := w.read()
		time.Sleep(50 * time.Minute)
		w.Fail(503)
		const sealed = `Unreachable: reading Vault secret "kv2/data/a" from ADDRESS: status 503: Vault is sealed`
		if out := w.read(); first != "user=u2" || out != sealed {
			w.Errorf("read %s, then %s", first, out)
		}
		w.Fail(0)
		if out := w.read(); out != "user=u2" {
			w.Error(out)
		}
		if got := counts(w.Server); got != "logins 3, lookups 0, renewals 0" {
			w.Error(got)
		}
	})
}
