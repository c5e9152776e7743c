package telemetry

import "strings"

// Row is the line of the page of metrics that describes m.
func Row(m Metric) string {
	labels := "`" + strings.Join(m.Labels, "`, `") + "`"
	return "| `" + m.Name + "` | " + string(m.Kind) + " | " + labels + " | `" + m.OTel + "` | " + m.Help + " |"
}
