package postgresql_test

import (
	"context"
	"testing"
	"time"

	"github.com/weir-sh/weir/internal/brokers/postgresql"
)

func TestServer(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, err := postgresql.Start(ctx, postgresql.Options{Password: "it's secret"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	if _, err := s.SQL(ctx, "create table t (n int); insert into t values (7)"); err != nil {
		t.Fatal(err)
	}
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.SQL(ctx, "select 1"); err == nil {
		t.Error("a server that was killed answers")
	}
	if err := s.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	if got, err := s.SQL(ctx, "select n from t"); err != nil || got != "7" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := s.SQL(ctx, "select n from none"); err == nil {
		t.Error("an error of the server is no error")
	}
}
