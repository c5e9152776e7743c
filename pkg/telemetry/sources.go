package telemetry

import "time"

// upstreams sums the sources of one type.
type upstreams struct {
	working, failing, fresh, queries, open int
	oldest                                 time.Duration
}

// sources collects how the sources are, summed by type: there is
// no bound to how many there are of one.
func (s *scrape) sources() {
	if s.cfg.Sources == nil {
		return
	}
	byType := map[string]*upstreams{}
	all := s.cfg.Sources()
	for i := range all {
		one := &all[i]
		u := byType[one.Type]
		if u == nil {
			u = &upstreams{}
			byType[one.Type] = u
		}
		u.queries += one.Queries
		u.oldest = max(u.oldest, one.Oldest)
		if one.Open {
			u.open++
		}
		switch {
		case one.Failing:
			u.failing++
		case one.Fetches == 0:
			u.fresh++
		default:
			u.working++
		}
	}
	for scaler, u := range byType {
		of := s.known[sourceQueries].labels(scaler) // which the next two share
		s.emit(sourceQueries, of, float64(u.queries))
		s.emit(sourceConnections, of, float64(u.open))
		s.emit(readingAge, of, u.oldest.Seconds())
		for _, state := range []struct {
			name string
			n    int
		}{{"working", u.working}, {"failing", u.failing}, {"new", u.fresh}} {
			s.emit(sources, s.known[sources].labels(scaler, state.name), float64(state.n))
		}
	}
}
