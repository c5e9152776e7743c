package explain

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// lineWidth is where running text is broken.
const lineWidth = 98

// number prints thousandths, as quantities in Kubernetes do. What would vanish, or
// is too large to have a fraction, keeps its magnitude.
func number(v float64) string {
	if v == 0 {
		return "0" // minus zero, too
	}
	if abs := math.Abs(v); abs < 0.001 || abs >= 1e15 {
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	s := strconv.FormatFloat(v, 'f', 3, 64)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// span prints whole seconds; days are hours, as a clock counts.
func span(d time.Duration) string {
	s := max(d, 0).Round(time.Second).String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(s, zero) {
			s = s[:len(s)-2]
		}
	}
	return s
}

// clock prints the time of day, in the zone of now; with the date when that is
// another day.
func clock(at, now time.Time) string {
	at = at.In(now.Location())
	if at.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return at.Format(time.TimeOnly)
	}
	return at.Format(time.DateTime)
}

func count[N int | int32](n N, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// verb is the form of a verb for n.
func verb[N int | int32](n N, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// sentence begins with a capital unless the first word is a name, and ends with a
// full stop.
func sentence(s string) string {
	if s = strings.TrimSpace(s); s != "" && !strings.HasSuffix(s, ".") {
		s += "."
	}
	return s
}

// shown is how many names a sentence lists; the rest are counted.
const shown = 3

// list joins names with "and" or "or".
func list(names []string, last string) string {
	if more := len(names) - shown; more > 0 {
		names = append(append([]string(nil), names[:shown]...), fmt.Sprintf("%d more", more))
	}
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " " + last + " " + names[len(names)-1]
}

// plain makes one printable line of s: what comes from objects and sources must
// not move a terminal's cursor.
func plain(s string) string {
	return strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		if unicode.IsSpace(r) {
			return ' '
		}
		return utf8.RuneError
	}, s)), " ")
}

// wrap breaks text into lines of at most lineWidth; lines after the first begin with indent.
func wrap(text, first, indent string) string {
	var b strings.Builder
	line := first
	empty := true
	for word := range strings.FieldsSeq(plain(text)) {
		if !empty && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > lineWidth {
			b.WriteString(strings.TrimRight(line, " ") + "\n")
			line, empty = indent, true
		}
		if !empty {
			line += " "
		}
		line += word
		empty = false
	}
	b.WriteString(strings.TrimRight(line, " ") + "\n")
	return b.String()
}

// columns aligns rows; cells are separated by two spaces.
func columns(indent string, rows [][]string) string {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(plain(cell)))
		}
	}
	var b strings.Builder
	for _, row := range rows {
		var line strings.Builder
		line.WriteString(indent)
		for i, cell := range row {
			cell = plain(cell)
			line.WriteString(cell + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2))
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return b.String()
}
