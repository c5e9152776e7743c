package engine

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/weir-sh/weir/pkg/scalers"
)

// Back-off beyond what Config sets.
const (
	// Refused credentials stay refused until somebody acts, and many upstreams
	// lock accounts out. New credentials are another source, which opens at once.
	minUnauthorized = 10 * time.Second
	maxUnauthorized = 2 * time.Minute
	// invalidRetry is for settings that the upstream or the scaler calls invalid:
	// nothing changes until the object does.
	invalidRetry = 5 * time.Minute
	// A query that fails its whole batch is asked alone, ever more seldom.
	minQuarantine = 5 * time.Second
	maxQuarantine = 5 * time.Minute
	// longestRetryAfter bounds what an upstream may ask for.
	longestRetryAfter = time.Hour
)

// backoff doubles from lo to hi and takes between half and all of that, so that
// sources that failed together do not return together. The first attempt is 0.
func backoff(attempt int, lo, hi time.Duration) time.Duration {
	d := hi
	if attempt < 32 && lo<<attempt > 0 {
		d = min(lo<<attempt, hi)
	}
	return d/2 + rand.N(d/2+1) //nolint:gosec // jitter is no secret
}

// retryDelay is how long a source that failed with err is left alone. The
// first failure is attempt 0.
func (c *Config) retryDelay(err error, attempt int) time.Duration {
	if e, ok := errors.AsType[*scalers.Error](err); ok && e.RetryAfter > 0 {
		d := min(e.RetryAfter, longestRetryAfter)
		return d + rand.N(d/10+1) //nolint:gosec // jitter is no secret
	}
	switch scalers.KindOf(err) {
	case scalers.Invalid:
		return invalidRetry
	case scalers.Unauthorized:
		return backoff(attempt, minUnauthorized, maxUnauthorized)
	default:
		return backoff(attempt, c.MinBackoff, c.MaxBackoff)
	}
}
