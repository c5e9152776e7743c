package azurestorage

import (
	"encoding/xml"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// blob is a blob's content and metadata.
type blob struct {
	body     []byte
	metadata map[string]string // names as they were given
}

// etag changes with the content.
func (b blob) etag() string {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s %v", b.body, b.metadata)
	return fmt.Sprintf(`"0x%X"`, h.Sum64())
}

// metadataPrefix begins the headers that hold metadata.
const metadataPrefix = "x-ms-meta-"

// Blobs serves the blob service.
func (a *Account) Blobs() http.Handler {
	return a.service('b', map[string]handler{
		"Create Container":    a.createContainer,
		"List Blobs":          a.list,
		"Put Blob":            a.putBlob,
		"Get Blob":            a.getBlob,
		"Get Blob Properties": a.getBlob,
	}, func(r request) string {
		query := r.URL.Query()
		switch {
		case r.object == "" && r.Method == http.MethodPut && query.Get("restype") == "container":
			return "Create Container"
		case r.object == "" && r.Method == http.MethodGet && query.Get("comp") == "list":
			return "List Blobs"
		case r.object == "":
			return ""
		}
		return map[string]string{http.MethodPut: "Put Blob", http.MethodGet: "Get Blob", http.MethodHead: "Get Blob Properties"}[r.Method]
	})
}

// SetContainer creates an empty container, or empties it.
func (a *Account) SetContainer(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.containers[name] = map[string]blob{}
}

// SetBlob creates a blob in a container that exists, or replaces it.
func (a *Account) SetBlob(container, name, body string, metadata map[string]string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.containers[container][name] = blob{[]byte(body), maps.Clone(metadata)}
}

// DeleteBlob removes a blob if it is there.
func (a *Account) DeleteBlob(container, name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.containers[container], name)
}

func (a *Account) createContainer(w http.ResponseWriter, r request) error {
	if a.containers[r.resource] != nil {
		return failure{http.StatusConflict, "ContainerAlreadyExists", "The specified container already exists."}
	}
	a.containers[r.resource] = map[string]blob{}
	w.WriteHeader(http.StatusCreated)
	return nil
}

// container returns a container that exists.
func (a *Account) container(r request) (map[string]blob, error) {
	if c := a.containers[r.resource]; c != nil {
		return c, nil
	}
	return nil, failure{http.StatusNotFound, "ContainerNotFound", "The specified container does not exist."}
}

func (a *Account) putBlob(w http.ResponseWriter, r request) error {
	c, err := a.container(r)
	if err != nil {
		return err
	}
	b := blob{metadata: map[string]string{}}
	if b.body, err = io.ReadAll(r.Body); err != nil {
		return err
	}
	for name, values := range r.Header {
		if key, ok := strings.CutPrefix(strings.ToLower(name), metadataPrefix); ok {
			b.metadata[key] = strings.Join(values, ",")
		}
	}
	c[r.object] = b
	w.Header().Set("ETag", b.etag())
	w.WriteHeader(http.StatusCreated)
	return nil
}

func (a *Account) getBlob(w http.ResponseWriter, r request) error {
	c, err := a.container(r)
	if err != nil {
		return err
	}
	b, ok := c[r.object]
	if !ok {
		return failure{http.StatusNotFound, "BlobNotFound", "The specified blob does not exist."}
	}
	if r.Header.Get("If-None-Match") == b.etag() {
		w.Header().Set("x-ms-error-code", "ConditionNotMet")
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	for name, value := range b.metadata {
		w.Header().Set(metadataPrefix+name, value)
	}
	w.Header().Set("ETag", b.etag())
	w.Header().Set("x-ms-blob-type", "BlockBlob")
	w.Header().Set("Content-Length", strconv.Itoa(len(b.body)))
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodGet {
		_, err = w.Write(b.body)
	}
	return err
}

// metadata is written with each name as an element.
type metadata map[string]string

// MarshalXML implements xml.Marshaler.
func (m metadata) MarshalXML(e *xml.Encoder, start xml.StartElement) error {
	if err := e.EncodeToken(start); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if err := e.EncodeElement(m[name], xml.StartElement{Name: xml.Name{Local: name}}); err != nil {
			return err
		}
	}
	return e.EncodeToken(start.End())
}

type listedBlob struct {
	Name       string
	Properties struct {
		LastModified  string `xml:"Last-Modified"`
		Etag          string
		ContentLength int `xml:"Content-Length"`
		BlobType      string
	}
	Metadata metadata `xml:",omitempty"`
}

type listedPrefix struct{ Name string }

type listing struct {
	XMLName    xml.Name       `xml:"EnumerationResults"`
	Blobs      []listedBlob   `xml:"Blobs>Blob"`
	Prefixes   []listedPrefix `xml:"Blobs>BlobPrefix"`
	NextMarker string
}

// entry is what a listing holds: a blob, or all blobs that begin alike up to the
// delimiter.
type entry struct {
	name   string
	prefix bool
}

// entries lists names by prefix, and groups them by delimiter when there is one.
func entries(names []string, prefix, delimiter string) []entry {
	var out []entry
	for _, name := range names {
		rest, ok := strings.CutPrefix(name, prefix)
		if !ok {
			continue
		}
		group, _, grouped := strings.Cut(rest, delimiter)
		if delimiter == "" || !grouped {
			out = append(out, entry{name: name})
			continue
		}
		e := entry{prefix + group + delimiter, true}
		if len(out) == 0 || out[len(out)-1] != e {
			out = append(out, e)
		}
	}
	return out
}

func (a *Account) list(w http.ResponseWriter, r request) error {
	c, err := a.container(r)
	if err != nil {
		return err
	}
	query := r.URL.Query()
	most := 5000
	if v := query.Get("maxresults"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 {
			return failure{http.StatusBadRequest, "OutOfRangeQueryParameterValue", "The number of results is not one."}
		}
		most = min(most, n)
	}
	all := entries(slices.Sorted(maps.Keys(c)), query.Get("prefix"), query.Get("delimiter"))
	from, _ := slices.BinarySearchFunc(all, query.Get("marker"), func(e entry, marker string) int { return strings.Compare(e.name, marker) })
	var out listing
	for i, e := range all[from:] {
		if i == most {
			out.NextMarker = e.name
			break
		}
		if e.prefix {
			out.Prefixes = append(out.Prefixes, listedPrefix{e.name})
			continue
		}
		out.Blobs = append(out.Blobs, listed(e.name, c[e.name], strings.Contains(query.Get("include"), "metadata")))
	}
	writeXML(w, http.StatusOK, out)
	return nil
}

func listed(name string, b blob, withMetadata bool) listedBlob {
	l := listedBlob{Name: name}
	l.Properties.LastModified = time.Unix(0, 0).UTC().Format(http.TimeFormat)
	l.Properties.Etag = strings.Trim(b.etag(), `"`) // listings have no quotes, headers do
	l.Properties.ContentLength, l.Properties.BlobType = len(b.body), "BlockBlob"
	if withMetadata {
		l.Metadata = b.metadata
	}
	return l
}
