package eventhubs

// The sections of a message, by their descriptors.
const (
	sectionProperties  = 0x73
	sectionApplication = 0x74
	sectionData        = 0x75
	sectionValue       = 0x77
)

// message is what a client sent: a request when it says where to reply, else
// events.
type message struct {
	id          any
	replyTo     string
	application map[string]any
	value       any
	data        [][]byte // one for each event of a batch
}

func readMessage(b []byte) (message, error) {
	var m message
	d := &decoder{rest: b}
	for len(d.rest) > 0 {
		section, _ := d.value().(described)
		switch section.code {
		case sectionProperties:
			fields, _ := section.value.([]any)
			m.id, m.replyTo = field[any](fields, 0), field[string](fields, 4)
		case sectionApplication:
			m.application, _ = section.value.(map[string]any)
		case sectionData:
			event, _ := section.value.([]byte)
			m.data = append(m.data, event)
		case sectionValue:
			m.value = section.value
		}
	}
	return m, d.err
}

// text returns an application property.
func (m message) text(name string) string {
	s, _ := m.application[name].(string)
	return s
}
