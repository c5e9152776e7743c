package awscloudwatch

import (
	"testing"
	"time"
)

func TestWindowsAreWholePeriodsBeforeNow(t *testing.T) {
	now := time.Date(2026, 8, 1, 12, 34, 56, 789, time.UTC)
	for name, c := range map[string]struct {
		q          metric
		start, end string
	}{
		"the defaults":              {metric{period: 300, span: 300}, "12:25:00", "12:30:00"},
		"a minute":                  {metric{period: 60, span: 300}, "12:29:00", "12:34:00"},
		"a second":                  {metric{period: 1, span: 10}, "12:34:46", "12:34:56"},
		"ten seconds":               {metric{period: 10, span: 60}, "12:33:50", "12:34:50"},
		"an offset":                 {metric{period: 60, span: 60, offset: 57}, "12:32:00", "12:33:00"},
		"an offset within":          {metric{period: 60, span: 60, offset: 56}, "12:33:00", "12:34:00"},
		"an offset into the future": {metric{period: 60, span: 60, offset: -60}, "12:34:00", "12:35:00"},
		"no time":                   {metric{period: 60}, "12:34:00", "12:34:00"},
		"an hour":                   {metric{period: 3600, span: 7200}, "10:00:00", "12:00:00"},
		"a period that does not divide the day, counted from year 1": {metric{period: 420, span: 420}, "12:25:00", "12:32:00"},
	} {
		w := c.q.window(now)
		if start, end := w.start.Format(time.TimeOnly), w.end.Format(time.TimeOnly); start != c.start || end != c.end {
			t.Errorf("%s: got %s to %s, want %s to %s", name, start, end, c.start, c.end)
		}
	}
}
