package param

import (
	"slices"
	"strings"
)

// unknown warns about metadata that no parameter reads: unknown names, and
// known ones in a place where they are not looked up.
func (s *Set) unknown() {
	byName := map[string]Info{}
	var names []string
	for _, i := range s.infos {
		for _, n := range append([]string{i.Name}, i.Aliases...) {
			byName[n] = i
			names = append(names, n)
		}
	}
	for key := range s.in.Metadata {
		i, known := byName[key]
		switch {
		case known && slices.Contains(i.From, Metadata):
		case known:
			s.Warn(key, "is ignored in metadata; set it %s", ways(i))
		default:
			s.unknownKey(key, byName, names)
		}
	}
}

// unknownKey warns about a metadata key that is no parameter's name.
func (s *Set) unknownKey(key string, byName map[string]Info, names []string) {
	if base, ok := strings.CutSuffix(key, fromEnv); ok {
		if i, known := byName[base]; known {
			switch {
			case !slices.Contains(i.From, Env):
				s.Warn(key, "is ignored: %q is not read from the environment; set it %s", base, ways(i))
			case strings.TrimSpace(s.in.Env[strings.TrimSpace(s.in.Metadata[key])]) == "":
				s.Warn(key, "names a variable that the workload's container does not set")
			}
			return
		}
	}
	near := Closest(key, names)
	if s.others && !strings.EqualFold(near, key) {
		return
	}
	if near != "" {
		s.Warn(key, "is not known; did you mean %q?", near)
		return
	}
	s.Warn(key, "is not known and is ignored; see the scaler's page for its parameters")
}

// Closest returns the name nearest to typed, or "" when none is near: the same
// letters in another case, or at most a third of them wrong.
func Closest(typed string, names []string) string {
	best, least := "", len(typed)/3+1
	for _, n := range names {
		if strings.EqualFold(n, typed) {
			return n
		}
		if d := distance(strings.ToLower(typed), strings.ToLower(n)); d < least {
			best, least = n, d
		}
	}
	return best
}

// distance is the number of letters to insert, remove or replace to make a of b
// (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			above := row[j+1]
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(row[j]+1, above+1, diagonal+cost)
			diagonal = above
		}
	}
	return row[len(b)]
}
