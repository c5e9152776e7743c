package azureeventhub

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/internal/azstorage"
)

const (
	// blobsAtOnce is how many requests to the storage account run at a time.
	blobsAtOnce = 16
	// maxCheckpoint bounds the content of a checkpoint, in bytes.
	maxCheckpoint = 64 << 10
	// A listing of more blobs than crowd and crowdEach for each that is
	// wanted is more to carry than it saves.
	crowd     = 1000
	crowdEach = 20
	// crowdedFor is how long it is remembered that a listing has too much else.
	crowdedFor = 10 * time.Minute
)

// place is where the checkpoints of one group and layout are: blobs of which the
// name is the prefix and the id of a partition. Groups that share a place are
// read once.
type place struct {
	container, prefix string
	layout            layout
}

// found are the checkpoints of a place: a sequence number or an error for each
// partition that has one.
type found struct {
	sequence map[string]int64
	err      map[string]error
	failed   error // of all of them
}

// checkpoints reads checkpoints of one storage account. A listing tells of many
// in one request, and which of them have changed.
type checkpoints struct {
	blobs *azstorage.Blobs

	mu      sync.Mutex // guards the rest; never held during a request
	crowded map[place]time.Time
	bodies  map[blobKey]body
}

type blobKey struct{ container, name string }

// body is what was read of a blob, while its tag is the same.
type body struct {
	etag azcore.ETag
	raw  []byte
	used time.Time
}

func newCheckpoints(blobs *azstorage.Blobs) *checkpoints {
	return &checkpoints{blobs: blobs, crowded: map[place]time.Time{}, bodies: map[blobKey]body{}}
}

// work is the reading of one place.
type work struct {
	place
	ids    []string
	listed map[string]azstorage.Item // by name; nil when the place could not be listed
	found
}

func newFound() found { return found{sequence: map[string]int64{}, err: map[string]error{}} }

// read looks for the checkpoints of partitions. It sorts and keeps the lists of
// these. What is in no result does not exist.
func (c *checkpoints) read(ctx context.Context, wanted map[place][]string) map[place]*work {
	out := map[place]*work{}
	byContainer := map[string][]*work{}
	for p, ids := range wanted {
		slices.Sort(ids)
		w := &work{place: p, ids: slices.Compact(ids), found: newFound()}
		out[p] = w
		byContainer[p.container] = append(byContainer[p.container], w)
	}
	containers := slices.Sorted(maps.Keys(byContainer))
	atOnce(blobsAtOnce, len(containers), func(i int) { c.list(ctx, byContainer[containers[i]]) })
	c.complete(ctx, slices.Collect(maps.Values(out)))
	c.forget()
	return out
}

// list finds out what there is of the places in one container: all of them by one
// listing where that is no more pages than a listing of each, and else each by
// its own, where that is no more than a request for each blob.
func (c *checkpoints) list(ctx context.Context, works []*work) {
	if len(works) > 1 {
		wide := place{container: works[0].container, prefix: commonPrefix(works)}
		if items, ok := c.listing(ctx, wide, works, len(works)); ok {
			for _, w := range works {
				w.listed = items
			}
			return
		}
	}
	atOnce(blobsAtOnce, len(works), func(i int) {
		w := works[i]
		if len(w.ids) > 1 && w.failed == nil {
			if items, ok := c.listing(ctx, w.place, works[i:i+1], len(w.ids)); ok {
				w.listed = items
			}
		}
	})
}

// listing lists a place in up to pages requests. It is not ok when there was more.
// That, and that most of it is not what works want, is remembered. When it fails,
// so do works.
func (c *checkpoints) listing(ctx context.Context, at place, works []*work, pages int) (map[string]azstorage.Item, bool) {
	c.mu.Lock()
	crowded := time.Since(c.crowded[at]) < crowdedFor
	c.mu.Unlock()
	if crowded {
		return nil, false
	}
	items := map[string]azstorage.Item{}
	whole, err := c.blobs.List(ctx, azstorage.Listing{Container: at.container, Prefix: at.prefix, Metadata: true, Pages: pages},
		func(i azstorage.Item) { items[i.Name] = i })
	wanted := 0
	for _, w := range works {
		wanted += len(w.ids)
	}
	switch {
	case azstorage.Missing(err):
		return items, true
	case err != nil:
		for _, w := range works {
			w.failed = azstorage.Failed("listing the checkpoints in container \""+at.container+"\"", err)
		}
		return nil, false
	case !whole, len(items) > crowd+crowdEach*wanted:
		c.mu.Lock()
		c.crowded[at] = time.Now()
		c.mu.Unlock()
	}
	return items, whole
}

func commonPrefix(works []*work) string {
	out := works[0].prefix
	for _, w := range works[1:] {
		for !strings.HasPrefix(w.prefix, out) {
			out = out[:len(out)-1]
		}
	}
	return out
}

// complete reads what the listings do not say.
func (c *checkpoints) complete(ctx context.Context, works []*work) {
	type one struct {
		*work
		id string
	}
	var rest []one
	for _, w := range works {
		for _, id := range w.ids {
			if w.failed == nil && !c.told(w, id) {
				rest = append(rest, one{w, id})
			}
		}
	}
	sequences, errs := make([]int64, len(rest)), make([]error, len(rest))
	atOnce(blobsAtOnce, len(rest), func(i int) {
		sequences[i], errs[i] = c.get(ctx, rest[i].place, rest[i].prefix+rest[i].id)
	})
	for i, r := range rest {
		switch {
		case errs[i] == nil:
			r.sequence[r.id] = sequences[i]
		case !azstorage.Missing(errs[i]):
			r.err[r.id] = checkpointError(r.prefix+r.id, errs[i])
		}
	}
}

// told reports whether the listing and what is remembered say all about a
// checkpoint, and notes it.
func (c *checkpoints) told(w *work, id string) bool {
	if w.listed == nil {
		return false
	}
	name := w.prefix + id
	item, exists := w.listed[name]
	if !exists {
		return true
	}
	var n int64
	var err error
	if w.layout.inMetadata() {
		n, err = fromMetadata(item.Metadata)
	} else {
		known := c.recall(blobKey{w.container, name})
		if known.etag == "" || !sameTag(known.etag, item.ETag) {
			return false
		}
		n, err = w.layout.fromBody(known.raw)
	}
	if err != nil {
		w.err[id] = checkpointError(name, err)
		return true
	}
	w.sequence[id] = n
	return true
}

// sameTag compares a tag of a header, which is quoted, with one of a listing,
// which is not.
func sameTag(a, b azcore.ETag) bool {
	return strings.Trim(string(a), `"`) == strings.Trim(string(b), `"`)
}

// get reads one checkpoint by itself.
func (c *checkpoints) get(ctx context.Context, at place, name string) (int64, error) {
	if at.layout.inMetadata() {
		item, err := c.blobs.Properties(ctx, at.container, name)
		if err != nil {
			return 0, err
		}
		return fromMetadata(item.Metadata)
	}
	key := blobKey{at.container, name}
	known := c.recall(key)
	raw, etag, err := c.blobs.Content(ctx, at.container, name, known.etag, maxCheckpoint)
	if err != nil {
		return 0, err
	}
	if known.etag == "" || etag != known.etag {
		known = body{etag: etag, raw: raw, used: time.Now()}
		c.mu.Lock()
		c.bodies[key] = known
		c.mu.Unlock()
	}
	return at.layout.fromBody(known.raw)
}

// recall returns what was read of a blob before.
func (c *checkpoints) recall(key blobKey) body {
	c.mu.Lock()
	defer c.mu.Unlock()
	b, ok := c.bodies[key]
	if ok {
		b.used = time.Now()
		c.bodies[key] = b
	}
	return b
}

// forget drops what nobody has asked for in a while.
func (c *checkpoints) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.DeleteFunc(c.bodies, func(_ blobKey, b body) bool { return time.Since(b.used) > unusedFor })
	maps.DeleteFunc(c.crowded, func(_ place, at time.Time) bool { return time.Since(at) > crowdedFor })
}

// checkpointError explains why a checkpoint could not be read.
func checkpointError(name string, err error) error {
	op := "reading checkpoint \"" + name + "\""
	if errors.Is(err, errCheckpoint) {
		return &scalers.Error{
			Kind: scalers.BadAnswer, Op: op, Err: err,
			Hint: "set checkpointStrategy to what the consumers write",
		}
	}
	return azstorage.Failed(op, err)
}
