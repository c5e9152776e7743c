package certs_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/weir-sh/weir/pkg/kube/certs"
)

func TestACertificateIsMadeWhenThereIsNoSecret(t *testing.T) {
	s := &store{}
	replica := selfSigned(t, s)
	if _, err := replica.GetCertificate(nil); !errors.Is(err, certs.ErrNotLoaded) {
		t.Errorf("before the first load: %v", err)
	}
	if cert, key := replica.CertKeyPEM(); cert != nil || key != nil || replica.CABundle() != nil {
		t.Error("there is PEM before the first load")
	}
	load(t, replica)
	verify(t, replica, replica.CABundle())

	cert, ca := leaf(t, replica), authorities(t, replica.CABundle())
	for _, name := range []string{
		"weir", "weir.weir-system", "weir.weir-system.svc", "weir.weir-system.svc.cluster.local", "localhost", "127.0.0.1",
	} {
		if err := cert.VerifyHostname(name); err != nil {
			t.Error(err)
		}
	}
	if public, ok := cert.PublicKey.(*ecdsa.PublicKey); !ok || public.Curve != elliptic.P256() {
		t.Errorf("the key is a %T", cert.PublicKey)
	}
	const day = 24 * time.Hour
	if got := cert.NotAfter.Sub(cert.NotBefore).Round(day); got != 365*day {
		t.Errorf("the certificate lives for %v", got)
	}
	if got := ca[0].NotAfter.Sub(ca[0].NotBefore).Round(day); got != 3650*day || !ca[0].IsCA || len(ca) != 1 {
		t.Errorf("%d authorities, the first lives for %v", len(ca), got)
	}
	if got, err := replica.GetCertificate(nil); err != nil || !got.Leaf.Equal(cert) {
		t.Errorf("GetCertificate gives another certificate, error %v", err)
	}
}

func TestASecondReplicaTakesOverWhatIsThere(t *testing.T) {
	s := &store{}
	first, second := selfSigned(t, s), selfSigned(t, s)
	changes := 0
	second.OnChange(func() { changes++ })
	load(t, first)
	load(t, second)
	load(t, second)
	if !leaf(t, first).Equal(leaf(t, second)) {
		t.Error("the replicas serve different certificates")
	}
	if s.writes != 1 || changes != 1 {
		t.Errorf("%d writes and %d changes, want one of each", s.writes, changes)
	}
}

func TestReplicasThatStartTogetherAgree(t *testing.T) {
	const replicas = 8
	for name, edit := range map[string]func(*testing.T, *store){
		"without a Secret": func(*testing.T, *store) {},
		"with a Secret that has to change": func(t *testing.T, s *store) {
			t.Helper()
			load(t, selfSigned(t, s))
			s.change(func(secret *corev1.Secret) { secret.Data["tls.crt"] = nil })
			s.writes = 0
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := &store{}
			edit(t, s)
			s.reads = 0
			var all sync.WaitGroup // every replica has read before the first one writes
			all.Add(replicas)
			s.onGet = func(reads int) {
				if reads <= replicas {
					all.Done()
					all.Wait()
				}
			}
			var sources []*certs.SelfSigned
			var wg sync.WaitGroup
			for range replicas {
				replica := selfSigned(t, s)
				sources = append(sources, replica)
				wg.Go(func() {
					if err := replica.Load(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			for _, replica := range sources {
				verify(t, replica, sources[0].CABundle())
				if !leaf(t, replica).Equal(leaf(t, sources[0])) {
					t.Error("two replicas serve different certificates")
				}
			}
			if s.writes != 1 || s.refused != replicas-1 {
				t.Errorf("%d writes, %d refused, want 1 and %d", s.writes, s.refused, replicas-1)
			}
		})
	}
}

func TestContentThatCannotBeUsedIsMadeAnew(t *testing.T) {
	garbage := []byte("garbage")
	other := &store{}
	load(t, selfSigned(t, other))
	tests := []struct {
		name   string
		spoil  func(map[string][]byte)
		reason string
		cas    int // in the bundle afterwards
	}{
		{
			"no authority", func(d map[string][]byte) { delete(d, "ca.crt"); delete(d, "ca.key") },
			"there is no certificate authority yet; the serving certificate has expired or is not of our certificate authority", 1,
		},
		{
			"authority garbled", func(d map[string][]byte) { d["ca.crt"] = garbage },
			"ca.crt is not readable; the serving certificate has expired or is not of our certificate authority", 1,
		},
		{"authority's key garbled", func(d map[string][]byte) { d["ca.key"] = garbage }, "ca.key is not readable", 2},
		{
			"key of another authority", func(d map[string][]byte) { d["ca.key"] = other.secret.Data["ca.key"] },
			"ca.key does not belong to the first certificate of ca.crt", 2,
		},
		{"no certificate", func(d map[string][]byte) { delete(d, "tls.crt"); delete(d, "tls.key") }, "there is no serving certificate yet", 1},
		{
			"certificate garbled", func(d map[string][]byte) { d["tls.crt"] = garbage },
			"tls.crt and tls.key are not readable or do not belong together", 1,
		},
		{
			"key of another certificate", func(d map[string][]byte) { d["tls.key"] = other.secret.Data["tls.key"] },
			"tls.crt and tls.key are not readable or do not belong together", 1,
		},
		{"certificate of another authority", func(d map[string][]byte) {
			d["tls.crt"], d["tls.key"] = other.secret.Data["tls.crt"], other.secret.Data["tls.key"]
		}, "the serving certificate has expired or is not of our certificate authority", 1},
		{
			"a leaf as authority", func(d map[string][]byte) { d["ca.crt"], d["ca.key"] = d["tls.crt"], d["tls.key"] },
			"the certificate authority has expired or may not sign", 2,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s, log := &store{}, &lines{}
			load(t, selfSigned(t, s))
			s.change(func(secret *corev1.Secret) {
				test.spoil(secret.Data)
				secret.Data["of a user"] = []byte("kept")
			})
			replica := selfSigned(t, s, func(c *certs.SelfSignedConfig) { c.Log = logTo(log) })
			load(t, replica)
			verify(t, replica, replica.CABundle())
			want := `level=INFO msg="self-signed certificates written" object=weir-system/weir-certs reason="` + test.reason + "\"\n"
			if got := log.take(); got != want {
				t.Errorf("logged %swant   %s", got, want)
			}
			if got := authorities(t, replica.CABundle()); len(got) != test.cas {
				t.Errorf("%d authorities in the bundle, want %d", len(got), test.cas)
			}
			if string(s.data("of a user")) != "kept" {
				t.Error("another key of the Secret got lost")
			}
			load(t, replica)
			if got := log.take(); got != "" {
				t.Errorf("a second load writes again: %s", got)
			}
		})
	}
}

func TestASecretOfSomebodyElseIsNotTouched(t *testing.T) {
	s := &store{}
	load(t, selfSigned(t, s))
	s.change(func(secret *corev1.Secret) { secret.Annotations = nil })
	err := selfSigned(t, s).Load(t.Context())
	const want = "loading Secret weir-system/weir-certs: it has content that weir did not write: " +
		"delete it, or mount it and name its directory as the source of certificates"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if s.writes != 1 {
		t.Errorf("%d writes, want only the first", s.writes)
	}
	s.change(func(secret *corev1.Secret) { secret.Data = nil })
	load(t, selfSigned(t, s)) // an empty one, as manifests may bring it, is ours to fill
}

func TestDeletingTheSecretForgetsTheOldAuthority(t *testing.T) {
	s := &store{}
	replica := selfSigned(t, s)
	load(t, replica)
	old := authorities(t, replica.CABundle())[0]
	s.remove()
	load(t, replica)
	verify(t, replica, replica.CABundle())
	if slices.ContainsFunc(authorities(t, replica.CABundle()), old.Equal) {
		t.Error("the deleted authority is still trusted")
	}
}

func TestANameMoreMeansANewCertificateOfTheSameAuthority(t *testing.T) {
	s := &store{}
	first := selfSigned(t, s)
	load(t, first)
	second := selfSigned(t, s, func(c *certs.SelfSignedConfig) { c.Names = append(c.Names, "weir.example.org") })
	load(t, second)
	verify(t, second, first.CABundle())
	if err := leaf(t, second).VerifyHostname("weir.example.org"); err != nil {
		t.Error(err)
	}
	load(t, first) // it lacks nothing for the names of the first
	if !leaf(t, first).Equal(leaf(t, second)) || s.writes != 2 {
		t.Errorf("%d writes; the replicas do not agree", s.writes)
	}
}

func TestAnAPIServerThatFailsIsTriedAgainQuietly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, log := &store{}, &lines{}
		s.setFail(apierrors.NewServiceUnavailable("etcd is away"))
		replica := selfSigned(t, s, func(c *certs.SelfSignedConfig) { c.Log = logTo(log) })
		start(t, replica.Run)
		time.Sleep(10 * time.Minute)
		if got, want := log.take(), `level=WARN msg="certificate upkeep failed, trying again" `+
			`err="loading Secret weir-system/weir-certs: etcd is away"`+"\n"; got != want {
			t.Errorf("in ten minutes: %swant %s", got, want)
		}
		if tries := s.tries(); tries < 10 || tries > 20 {
			t.Errorf("%d tries in ten minutes, want about 15", tries)
		}
		s.setFail(nil)
		time.Sleep(time.Minute)
		verify(t, replica, replica.CABundle())
		if got := log.take(); !strings.Contains(got, `msg="certificate upkeep works again"`) {
			t.Errorf("after recovery: %s", got)
		}
		served := leaf(t, replica)
		s.setFail(apierrors.NewServiceUnavailable("etcd is away"))
		time.Sleep(time.Hour)
		if !leaf(t, replica).Equal(served) {
			t.Error("an outage changed the certificate")
		}
	})
}

func TestSelfSignedNeedsItsConfiguration(t *testing.T) {
	whole := certs.SelfSignedConfig{
		Secrets: &store{}, Namespace: namespace, Names: []string{"weir"}, Log: slog.New(slog.DiscardHandler),
	}
	for _, test := range []struct {
		edit    func(*certs.SelfSignedConfig)
		wantErr string
	}{
		{func(c *certs.SelfSignedConfig) { c.Secrets = nil }, "self-signed certificates need Secrets and Log"},
		{func(c *certs.SelfSignedConfig) { c.Log = nil }, "self-signed certificates need Secrets and Log"},
		{func(c *certs.SelfSignedConfig) { c.Namespace = "" }, "self-signed certificates need the namespace of their Secret"},
		{func(c *certs.SelfSignedConfig) { c.Names = nil }, "self-signed certificates need at least one name to be for"},
	} {
		cfg := whole
		test.edit(&cfg)
		if _, err := certs.NewSelfSigned(cfg); err == nil || err.Error() != test.wantErr {
			t.Errorf("got %v, want %s", err, test.wantErr)
		}
	}
}
