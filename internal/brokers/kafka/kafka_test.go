package kafka

import (
	"maps"
	"strings"
	"testing"
)

func TestTheToolsTable(t *testing.T) {
	t.Parallel()
	const text = `
Consumer group 'g' has no active members.

GROUP TOPIC  PARTITION CURRENT-OFFSET LOG-END-OFFSET LAG CONSUMER-ID HOST CLIENT-ID
g     orders 1         3              10             7   -           -    -
g     orders 0         -              2              -   -           -    -
`
	got, err := parseLag(text)
	if want := map[Partition]int64{{"orders", 1}: 7, {"orders", 0}: Unknown}; err != nil || !maps.Equal(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := parseLag("Error: Consumer group 'g' does not exist.\n"); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("no table: %v", err)
	}
	if _, err := parseLag(strings.Replace(text, "  7 ", "  x ", 1)); err == nil {
		t.Error("a lag that is no number is no error")
	}
}
