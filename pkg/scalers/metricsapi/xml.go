package metricsapi

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
)

const (
	// textKey is the text of an element that has attributes or children too.
	textKey = "#text"
	// deepest bounds the nesting of elements, which are read recursively.
	deepest = 500
)

var errXML = errors.New("the answer is not XML")

// xmlDocument is a tree whose locations may leave the root element out.
type xmlDocument struct{ whole, inside tree }

// find implements document.
func (d xmlDocument) find(location string) (float64, error) {
	v, err := d.whole.find(location)
	if errors.Is(err, errNothing) {
		return d.inside.find(location)
	}
	return v, err
}

// parseXML makes a tree: elements by their name without its namespace, attributes
// as "@name" and "-name", several elements of one name as a list.
func parseXML(body []byte) (document, error) {
	d := xml.NewDecoder(bytes.NewReader(body))
	d.CharsetReader = func(_ string, input io.Reader) (io.Reader, error) { return input, nil } // numbers look the same
	for {
		token, err := d.Token()
		if err != nil {
			return nil, errXML
		}
		start, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		root, err := element(d, start, 0)
		if err != nil {
			return nil, errXML
		}
		return xmlDocument{
			whole:  tree{root: map[string]any{start.Name.Local: root}, fold: true},
			inside: tree{root: root, fold: true},
		}, nil
	}
}

// element reads what is inside start: text, or a map.
func element(d *xml.Decoder, start xml.StartElement, depth int) (any, error) {
	if depth > deepest {
		return nil, errXML
	}
	inside := map[string]any{}
	for _, a := range start.Attr {
		inside["@"+a.Name.Local], inside["-"+a.Name.Local] = a.Value, a.Value
	}
	var text strings.Builder
	for {
		token, err := d.Token()
		if err != nil {
			return nil, err
		}
		switch t := token.(type) {
		case xml.CharData:
			text.Write(t)
		case xml.StartElement:
			child, err := element(d, t, depth+1)
			if err != nil {
				return nil, err
			}
			add(inside, t.Name.Local, child)
		case xml.EndElement:
			said := strings.TrimSpace(text.String())
			if len(inside) == 0 {
				return said, nil
			}
			if said != "" {
				inside[textKey] = said
			}
			return inside, nil
		}
	}
}

// add puts a child beside those of its name. Children are texts and maps, so that
// a list is always one of children.
func add(inside map[string]any, name string, child any) {
	switch before := inside[name].(type) {
	case nil:
		inside[name] = child
	case []any:
		inside[name] = append(before, child)
	default:
		inside[name] = []any{before, child}
	}
}
