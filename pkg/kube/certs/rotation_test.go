package certs_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-sh/weir/pkg/kube/certs"
)

const day = 24 * time.Hour

// Two replicas live through fifteen years. On every day each of them must
// serve what is accepted by a client whose bundle, from either replica, is a
// day old: that is what aggregators and other replicas lag behind at most.
func TestInFifteenYearsNoClientEverRefusesTheCertificate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &store{}
		daily := func(c *certs.SelfSignedConfig) { c.Interval = day }
		replicas := []certs.Source{selfSigned(t, s, daily), selfSigned(t, s, daily)}
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for _, replica := range replicas {
			wg.Go(func() {
				if err := replica.Run(ctx); err != nil {
					t.Error(err)
				}
			})
			time.Sleep(day / 2) // they look at the Secret at different hours
		}
		time.Sleep(time.Hour)               // and the test looks in between
		var certificates, roots []time.Time // instants of renewal
		var lastCert, lastRoot string
		first := replicas[0].CABundle()
		yesterday := [][]byte{first, first, first, first} // of both replicas, a day and half a day old
		most, end := 0, time.Now().Add(15*365*day)
		accepted := map[string]bool{} // certificate and bundle together
		for time.Now().Before(end) {
			time.Sleep(day / 2)
			for _, replica := range replicas {
				cert, _ := replica.CertKeyPEM()
				for _, bundle := range append(yesterday, replica.CABundle()) {
					if pair := string(cert) + string(bundle); !accepted[pair] {
						verify(t, replica, bundle)
						accepted[pair] = true
					}
				}
				if left := time.Until(leaf(t, replica).NotAfter); left < 100*day {
					t.Fatalf("the certificate has only %v left", left)
				}
			}
			bundle := authorities(t, replicas[0].CABundle())
			most = max(most, len(bundle))
			if serial := leaf(t, replicas[0]).SerialNumber.String(); serial != lastCert {
				certificates, lastCert = append(certificates, time.Now()), serial
			}
			if serial := bundle[0].SerialNumber.String(); serial != lastRoot {
				roots, lastRoot = append(roots, time.Now()), serial
			}
			yesterday = [][]byte{yesterday[2], yesterday[3], replicas[0].CABundle(), replicas[1].CABundle()}
		}
		stop()
		wg.Wait()
		for i := range certificates[1:] {
			if life := certificates[i+1].Sub(certificates[i]).Round(day); life < 243*day || life > 251*day {
				t.Errorf("certificate %d was renewed after %v, want two thirds of a year, and a week at most", i, life)
			}
		}
		if len(certificates) != 23 {
			t.Errorf("%d certificates in fifteen years, want 23", len(certificates))
		}
		if len(roots) != 3 || most != 2 {
			t.Fatalf("%d authorities, at most %d at a time, want 3 and 2", len(roots), most)
		}
		if life := roots[1].Sub(roots[0]).Round(day); life < 2432*day || life > 2435*day {
			t.Errorf("the authority was renewed after %v, want two thirds of ten years", life)
		}
		// One write for the first Secret, one per renewal, one per authority dropped.
		if want := 1 + 22 + 2 + 2; s.written() != want {
			t.Errorf("%d writes, want %d", s.written(), want)
		}
	})
}

func TestARenewedAuthorityDoesNotChangeTheCertificateAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{}
		replica := selfSigned(t, s)
		load(t, replica)
		known := replica.CABundle() // what the world knows
		time.Sleep(7 * 365 * day)   // weir was not running; both are due now
		load(t, replica)
		verify(t, replica, known)
		cas := authorities(t, replica.CABundle())
		if len(cas) != 2 || !cas[1].Equal(authorities(t, known)[0]) {
			t.Errorf("%d authorities, want a new one before the old one", len(cas))
		}
	})
}

func TestANewAuthoritySignsOnlyAfterItHasBeenShownForAWeek(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		replica := selfSigned(t, &store{})
		load(t, replica)
		old := authorities(t, replica.CABundle())[0]
		time.Sleep(6*365*day + 200*day) // the certificate is due, the authority is not
		load(t, replica)
		time.Sleep(243 * day) // the authority is due
		load(t, replica)
		signer := func() string { return leaf(t, replica).Issuer.CommonName }
		for range 6 { // now the certificate is due, too
			time.Sleep(day)
			load(t, replica)
			if signer() != old.Subject.CommonName {
				t.Fatal("the new authority signed at once")
			}
		}
		time.Sleep(2 * day)
		load(t, replica)
		if next := authorities(t, replica.CABundle())[0]; next.Equal(old) || signer() != next.Subject.CommonName {
			t.Errorf("signed by %s", signer())
		}
	})
}

func TestAnExpiredAuthorityIsReplacedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{}
		replica := selfSigned(t, s)
		load(t, replica)
		time.Sleep(11 * 365 * day)
		load(t, replica)
		verify(t, replica, replica.CABundle())
		if cas := authorities(t, replica.CABundle()); len(cas) != 1 {
			t.Errorf("%d authorities, want only the new one", len(cas))
		}
	})
}

func TestACertificateDoesNotOutliveItsAuthority(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{}
		replica := selfSigned(t, s)
		load(t, replica)
		time.Sleep(10*365*day - 30*day)
		load(t, replica)
		cas := authorities(t, replica.CABundle())
		if end := leaf(t, replica).NotAfter; len(cas) != 2 || !end.Equal(cas[1].NotAfter) {
			t.Errorf("%d authorities; the certificate ends at %v", len(cas), end)
		}
		time.Sleep(25 * day) // two thirds of the thirty days are over: the new authority signs
		load(t, replica)
		if got := leaf(t, replica).Issuer.CommonName; got != cas[0].Subject.CommonName {
			t.Errorf("signed by %s, want %s", got, cas[0].Subject.CommonName)
		}
	})
}
