package redis_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/weir-sh/weir/pkg/scalers/param"
	"github.com/weir-sh/weir/pkg/scalers/redis"
	"github.com/weir-sh/weir/pkg/scalers/scalertest"
)

func TestVectors(t *testing.T) { scalertest.KnownAnswers(t, 20, redis.Scalers()...) }

func TestParse(t *testing.T) {
	list := func(pairs ...string) map[string]string { return meta(append([]string{"listName", "q"}, pairs...)...) }
	tests := []struct {
		name, typ           string
		metadata, auth, env map[string]string
		want                string // the source, or the error
		warning             string // part of one; empty means none
	}{{
		name: "hosts and ports follow the addresses", typ: "redis-cluster",
		metadata: list("addresses", "a:1", "hosts", "b, c", "ports", "2,3"),
		want:     "redis-cluster{deployment:cluster addresses:a:1,b:2,c:3}",
	}, {
		name: "address wins over addresses", typ: "redis-cluster",
		metadata: list("address", "a:1", "addresses", "b:2"), want: "redis-cluster{deployment:cluster addresses:a:1}",
	}, {
		name: "authentication comes before the environment for an address", typ: "redis",
		metadata: list("addressFromEnv", "A"), auth: meta("address", "auth:1"), env: meta("A", "env:1"), want: "redis{addresses:auth:1}",
	}, {
		name: "the environment comes before authentication for a host", typ: "redis",
		metadata: list("hostFromEnv", "A", "port", "1"), auth: meta("host", "auth"), env: meta("A", "env"), want: "redis{addresses:env:1}",
	}, {
		name: "hosts and ports must match", typ: "redis", metadata: list("host", "a,b", "port", "1"),
		want: `parameter "port" must have as many items as "host"`,
	}, {
		name: "a host without a port is no address", typ: "redis", metadata: list("host", "a"),
		want:    `parameter "address" is required, or "host" and "port"; the first address must not be empty`,
		warning: `"host" is ignored without "port"`,
	}, {
		name: "one server is used", typ: "redis", metadata: list("address", "a:1,b:2"),
		want: "redis{addresses:a:1}", warning: "uses the first only",
	}, {
		name: "both ways to say TLS", typ: "redis", metadata: list("address", "a:1", "enableTLS", "true"), auth: meta("tls", "enable"),
		want: `parameter "tls" cannot be combined with "enableTLS"; keep one of them`,
	}, {
		name: "tls in metadata", typ: "redis", metadata: list("address", "a:1", "tls", "enable"),
		want: "redis{addresses:a:1}", warning: `"tls" is ignored in metadata`,
	}, {
		name: "tls by authentication", typ: "redis", metadata: list("address", "a:1"), auth: meta("tls", "enable"), want: "redis{addresses:a:1 useTLS:true}",
	}, {
		name: "a password in metadata", typ: "redis", metadata: list("address", "a:1", "password", "hunter2"),
		want: "redis{addresses:a:1 password:[redacted]}", warning: "is a secret written in plain text",
	}, {
		name: "a cluster has one database", typ: "redis-cluster", metadata: list("address", "a:1", "databaseIndex", "3"), want: "redis-cluster{deployment:cluster addresses:a:1}",
	}, {
		name: "database", typ: "redis-sentinel", metadata: list("address", "a:1", "databaseIndex", "3", "sentinelMaster", "m"), want: "redis-sentinel{deployment:sentinel addresses:a:1 database:3 sentinelMaster:m}",
	}, {
		name: "a negative database is accepted", typ: "redis", metadata: list("address", "a:1", "databaseIndex", "-1"),
		want: "redis{addresses:a:1}", warning: "database 0 is used",
	}, {
		name: "no master to ask for", typ: "redis-sentinel", metadata: list("address", "a:1"),
		want: "redis-sentinel{deployment:sentinel addresses:a:1}", warning: "needed to find the master",
	}, {
		name: "no sentinels to ask", typ: "redis", metadata: list("address", "a:1", "sentinelMaster", "m"), want: "redis{addresses:a:1}",
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			trigger, warnings, err := definition(t, tt.typ).Parse(param.Values{Metadata: tt.metadata, Auth: tt.auth, Env: tt.env})
			got := trigger.Source.String()
			if err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if text := fmt.Sprint(warnings); !strings.Contains(text, tt.warning) || tt.warning == "" && len(warnings) > 0 {
				t.Errorf("warnings %s, want %q", text, tt.warning)
			}
			if strings.Contains(fmt.Sprint(got, warnings), "hunter2") {
				t.Error("a password is shown")
			}
		})
	}
}

func TestStreamTargetsFollowTheMode(t *testing.T) {
	tests := []struct {
		name, want string
		metadata   map[string]string
	}{
		{"no group", "mode:length 4 1", meta("streamLength", "4", "pendingEntriesCount", "6", "lagCount", "7", "activationLagCount", "1")},
		{"group", "mode:pending 6 0", meta("consumerGroup", "g", "pendingEntriesCount", "6")},
		{"group and lag of zero", "mode:pending 5 0", meta("consumerGroup", "g", "lagCount", "0")},
		{"group and lag", "mode:lag 7 2", meta("consumerGroup", "g", "lagCount", "7", "activationLagCount", "2")},
		{"negative lag", "mode:lag -7 0", meta("consumerGroup", "g", "lagCount", "-7")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.metadata["stream"], tt.metadata["address"] = "s", "a:1"
			trigger := parse(t, "redis-streams", tt.metadata, nil)
			_, mode, _ := strings.Cut(strings.TrimSuffix(trigger.String(), "}"), "mode:")
			if got := fmt.Sprint("mode:", mode, " ", trigger.Target, " ", trigger.Activation); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestTypesAreSortedAndTheirExamplesParse(t *testing.T) {
	previous := ""
	for _, d := range redis.Scalers() {
		if d.Type <= previous {
			t.Errorf("%s comes after %s", d.Type, previous)
		}
		previous = d.Type
		if len(d.Examples) < 2 {
			t.Errorf("%s has %d examples", d.Type, len(d.Examples))
		}
		for _, e := range d.Examples {
			_, warnings, err := d.Parse(e.Values())
			if err != nil || len(warnings) > 0 {
				t.Errorf("%s, example %s: %v %v", d.Type, e.Title, err, warnings)
			}
		}
	}
}
