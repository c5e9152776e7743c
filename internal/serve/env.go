package serve

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/weir-sh/weir/internal/outbound"
)

// environment is what comes from variables and has no flag.
type environment struct {
	watched labels.Selector // of ScaledObjects and ScaledJobs; nil means all
	auths   labels.Selector // of TriggerAuthentications and ClusterTriggerAuthentications; nil means all

	leaseDuration, renewDeadline, retryPeriod time.Duration

	jobConcurrency int      // how many ScaledJobs are reconciled at a time; zero: as many as ScaledObjects
	minTLS         uint16   // that weir serves; zero means TLS 1.2
	ciphers        []uint16 // ... up to TLS 1.2; nil means Go's choice
}

// readEnvironment reads it. All that is wrong is in the error.
func readEnvironment(getenv func(string) string) (environment, error) {
	r := reader{getenv: getenv}
	e := environment{
		watched:        r.selector("WATCH_LABEL_SELECTOR"),
		auths:          r.selector("WATCH_LABEL_SELECTOR_FOR_TRIGGERAUTH"),
		leaseDuration:  r.duration("KEDA_OPERATOR_LEADER_ELECTION_LEASE_DURATION", 15*time.Second),
		renewDeadline:  r.duration("KEDA_OPERATOR_LEADER_ELECTION_RENEW_DEADLINE", 10*time.Second),
		retryPeriod:    r.duration("KEDA_OPERATOR_LEADER_ELECTION_RETRY_PERIOD", 2*time.Second),
		jobConcurrency: r.count("KEDA_SCALEDJOB_CTRL_MAX_RECONCILES"),
	}
	r.serving(&e)
	if e.leaseDuration <= e.renewDeadline || e.renewDeadline <= e.retryPeriod*6/5 {
		r.errs = append(r.errs, errors.New("of $KEDA_OPERATOR_LEADER_ELECTION_LEASE_DURATION, ..._RENEW_DEADLINE and ..._RETRY_PERIOD "+
			"each must be longer than the next, the last with a fifth more"))
	}
	return e, errors.Join(r.errs...)
}

// reader reads variables and collects what is wrong with them.
type reader struct {
	getenv func(string) string
	errs   []error
}

// selector is nil when the variable is not set.
func (r *reader) selector(variable string) labels.Selector {
	v := r.getenv(variable)
	if v == "" {
		return nil
	}
	s, err := labels.Parse(v)
	if err != nil {
		r.errs = append(r.errs, fmt.Errorf("$%s must be a label selector such as team=shop: %w", variable, err))
	}
	return s
}

func (r *reader) duration(variable string, otherwise time.Duration) time.Duration {
	v := r.getenv(variable)
	if v == "" {
		return otherwise
	}
	d, err := time.ParseDuration(v)
	if err != nil || d <= 0 {
		r.errs = append(r.errs, fmt.Errorf("$%s must be a duration above zero, such as 15s", variable))
		return otherwise
	}
	return d
}

// count is zero when the variable is not set.
func (r *reader) count(variable string) int {
	v := r.getenv(variable)
	if v == "" {
		return 0
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 {
		r.errs = append(r.errs, fmt.Errorf("$%s must be a whole number of at least 1", variable))
	}
	return n
}

// serving reads how weir serves TLS: as the variables of services say or, where
// they are not set, those of upstreams.
func (r *reader) serving(e *environment) {
	const version, ciphers = "KEDA_SERVICE_MIN_TLS_VERSION", "KEDA_SERVICE_TLS_CIPHER_LIST"
	// What is wrong with the variables of upstreams is told where they are read.
	upstream, errUpstream := outbound.FromEnv(r.getenv)
	own, err := outbound.Version(r.getenv, version)
	r.errs = append(r.errs, err)
	if own != 0 && own < tls.VersionTLS12 {
		r.errs = append(r.errs, fmt.Errorf("$%s must be TLS12 or TLS13", version))
	}
	e.ciphers, err = outbound.Ciphers(r.getenv, ciphers)
	r.errs = append(r.errs, err)
	if errUpstream != nil {
		return
	}
	if e.minTLS = cmp.Or(own, upstream.MinTLS); e.minTLS != 0 {
		e.minTLS = max(e.minTLS, tls.VersionTLS12)
	}
	if e.ciphers == nil {
		e.ciphers = upstream.CipherSuites
	}
}
