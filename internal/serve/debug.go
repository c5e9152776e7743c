package serve

import (
	"encoding/json"
	"net/http"
	"slices"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/engine"
	"github.com/weir-sh/weir/pkg/snapshot"
)

// debugPath begins the routes for people and for the commands explain and status.
const debugPath = "/debug/weir/"

// routes adds what can be seen of the parts that act. Only the replica that leads
// has anything to show.
func (c *controls) routes(mux *http.ServeMux) {
	mux.Handle("GET "+debugPath+"sources", answer(func(*http.Request) (any, bool) { return shown(c.sources()), true }))
	mux.Handle("GET "+debugPath+"objects", answer(func(*http.Request) (any, bool) { return c.snapshots(), true }))
	mux.Handle("GET "+debugPath+"objects/{namespace}/{name}", answer(func(r *http.Request) (any, bool) {
		namespace, name := r.PathValue("namespace"), r.PathValue("name")
		if r.URL.Query().Get("kind") == v1alpha1.KindScaledJob {
			return found(c.jobs.Snapshot(namespace, name))
		}
		return found(c.objects.Snapshot(namespace, name))
	}))
}

// sources are how all sources are.
func (c *controls) sources() []engine.SourceStats { return c.engine.Stats() }

// snapshots are all objects, without their decisions.
func (c *controls) snapshots() []snapshot.Object {
	return slices.Concat(c.objects.Snapshots(), c.jobs.Snapshots())
}

func found(o snapshot.Object, ok bool) (any, bool) { return o, ok }

// answer serves what f returns as JSON; not found without ok.
func answer(f func(*http.Request) (body any, ok bool)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, ok := f(r)
		if !ok {
			http.Error(w, "weir does not know this object, or this replica does not lead", http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(body); err != nil {
			http.Error(w, "encoding: "+err.Error(), http.StatusInternalServerError)
		}
	})
}

// source is what a source costs and how it is, with its errors as text.
type source struct {
	engine.SourceStats

	Err, WatchErr string `json:",omitempty"`
}

// shown is list with errors that can be read.
func shown(list []engine.SourceStats) []source {
	out := make([]source, len(list))
	for i, s := range list {
		out[i] = source{s, text(s.Err), text(s.WatchErr)}
	}
	return out
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
