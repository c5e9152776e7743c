package explain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
)

// getter reads what is at a path of a server. It is all that this package can do
// with a cluster.
type getter interface {
	get(ctx context.Context, path string, query url.Values) ([]byte, error)
}

const (
	// readTimeout bounds each read, so that one part that hangs leaves the others.
	readTimeout = 10 * time.Second
	// maxAnswer is the most bytes that weir's own route may answer with.
	maxAnswer = 16 << 20
)

// apiServer reads from an API server.
type apiServer struct{ client rest.Interface }

// newAPIServer makes a getter for the cluster of config.
func newAPIServer(config *rest.Config, version string) (apiServer, error) {
	config = rest.CopyConfig(config)
	config.QPS = -1 // a handful of reads
	config.UserAgent = "weir/" + version
	config.WarningHandlerWithContext = nil
	config.WarningHandler = rest.NoWarnings{} // not for whom asks why
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return apiServer{}, fmt.Errorf("making a client of the API server: %w", err)
	}
	return apiServer{client.RESTClient()}, nil
}

func (a apiServer) get(ctx context.Context, path string, query url.Values) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	request := a.client.Get().AbsPath(path).SetHeader("Accept", "application/json").MaxRetries(0)
	for key, values := range query {
		for _, v := range values {
			request = request.Param(key, v)
		}
	}
	result := request.Do(ctx)
	body, err := result.Raw()
	if err != nil {
		return nil, result.Error() // with the status that the API server sent
	}
	return body, nil
}

// direct reads from weir itself, as after kubectl port-forward.
type direct struct {
	base   string
	client *http.Client
}

func (d direct) get(ctx context.Context, path string, query url.Values) (_ []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	to := strings.TrimSuffix(d.base, "/") + path + "?" + query.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, to, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("asking weir: %w", err)
	}
	response, err := d.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("asking weir: %w", err)
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("asking weir: %w", err)
	}
	switch response.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return nil, apierrors.NewNotFound(schema.GroupResource{Resource: weirRoute}, path)
	default:
		return nil, fmt.Errorf("asking weir: it answered %s", response.Status)
	}
	return body, nil
}

// reader reads objects, and remembers what could not be seen.
type reader struct {
	from   getter
	unseen []Unseen
}

// outcome is how a read went.
type outcome uint8

const (
	failed  outcome = iota // why is among what is unseen
	missing                // there is no such object
	found
)

// apiKind is a kind of object as in paths and in RBAC rules.
type apiKind struct {
	group, version, plural string
	sub                    string // subresource, or empty
}

// String names the resource as RBAC does: "deployments/scale.apps".
func (r apiKind) String() string {
	out := r.plural
	if r.sub != "" {
		out += "/" + r.sub
	}
	if r.group != "" {
		out += "." + r.group
	}
	return out
}

// path is where the objects are; name is empty for the list, namespace for that of
// all namespaces.
func (r apiKind) path(namespace, name string) string {
	path := "/apis/" + r.group + "/" + r.version
	if r.group == "" {
		path = "/api/" + r.version
	}
	if namespace != "" {
		path += "/namespaces/" + url.PathEscape(namespace)
	}
	if r.plural != "" { // otherwise the kinds of the group
		path += "/" + r.plural
	}
	if name != "" {
		path += "/" + url.PathEscape(name)
	}
	if r.sub != "" {
		path += "/" + r.sub
	}
	return path
}

// one reads an object. What it is for people goes into what is unseen if that fails.
func (r *reader) one(ctx context.Context, what string, from apiKind, namespace, name string, into any) outcome {
	body, err := r.from.get(ctx, from.path(namespace, name), nil)
	if apierrors.IsNotFound(err) {
		return missing
	}
	if err == nil {
		err = decode(body, into)
	}
	return r.noted(what, "get "+from.String(), err)
}

// many reads a list page by page and hands each page to take, which decodes it.
func (r *reader) many(ctx context.Context, what string, from apiKind, namespace string, query url.Values, take func([]byte) error) outcome {
	if query == nil {
		query = url.Values{}
	}
	query.Set("limit", "500")
	for {
		body, err := r.from.get(ctx, from.path(namespace, ""), query)
		if apierrors.IsNotFound(err) {
			return missing // the API server knows no such kind
		}
		var page struct {
			Metadata struct {
				Continue string `json:"continue"`
			} `json:"metadata"`
		}
		if err == nil {
			err = decode(body, &page)
		}
		if err == nil {
			err = take(body)
		}
		if err != nil || page.Metadata.Continue == "" {
			return r.noted(what, "list "+from.String(), err)
		}
		query.Set("continue", page.Metadata.Continue)
	}
}

// listed decodes pages into one list.
func listed[T any](into *[]T) func([]byte) error {
	return func(body []byte) error {
		var page struct {
			Items []T `json:"items"`
		}
		err := decode(body, &page)
		*into = append(*into, page.Items...)
		return err
	}
}

func decode(body []byte, into any) error {
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	return nil
}

// noted remembers a failure.
func (r *reader) noted(what, right string, err error) outcome {
	if err == nil {
		return found
	}
	why := "cannot be read: " + err.Error()
	if apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) {
		why = "not allowed (needs " + right + ")"
	}
	r.miss(what, why)
	return failed
}

func (r *reader) miss(what, why string) { r.unseen = append(r.unseen, Unseen{what, plain(why)}) }
