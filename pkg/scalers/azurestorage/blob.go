package azurestorage

import (
	"context"
	"fmt"
	"strings"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/internal/azstorage"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// maxPages bounds what one measurement lists: a million blobs.
const maxPages = 200

// blobQuery is which blobs of a container count.
type blobQuery struct {
	container string
	prefix    string // with the delimiter at its end
	delimiter string // empty counts what is deeper too
	glob      string // the names that count; empty counts all
}

func (q *blobQuery) bind(p *param.Set) {
	recursive := false
	q.delimiter = "/"
	p.String(&q.container, "blobContainerName", "Container whose blobs are counted.", param.Required)
	p.String(&q.prefix, "blobPrefix", "What the names of counted blobs begin with. The delimiter is appended, so that it names a folder.")
	p.String(&q.delimiter, "blobDelimiter", "What separates folders in names.")
	p.Bool(&recursive, "recursive", "Count the blobs of folders below, too. The prefix is then taken as it is, without a delimiter.")
	p.String(&q.glob, "globPattern", "Pattern that names must match, such as `invoices/**/*.pdf`, in all folders. "+
		"`*` and `**` stand for any text, `?` for one character, `[a-z]` and `[!a-z]` for one of a set, `{a,b}` for either.")
	p.Check(func() error { return q.complete(p, recursive) }, "recursive", "globPattern")
}

// complete applies what the parameters mean together.
func (q *blobQuery) complete(p *param.Set, recursive bool) error {
	if recursive {
		q.delimiter = ""
	}
	if q.prefix != "" {
		q.prefix += q.delimiter
	}
	if q.glob == "" {
		return nil
	}
	if q.prefix != "" {
		p.Warn("globPattern", "is applied to the names under %q only", "blobPrefix")
	}
	q.glob, q.delimiter = strings.TrimPrefix(q.glob, "/"), ""
	if _, err := compileGlob(q.glob); err != nil {
		return param.Wrong("globPattern", "is no pattern: %v", err)
	}
	return nil
}

// measure counts the blobs of one query.
func measureBlobs(ctx context.Context, blobs *azstorage.Blobs, q blobQuery) scalers.Reading {
	op := "counting the blobs of container \"" + q.container + "\""
	matches, err := q.matcher()
	if err != nil {
		return scalers.Reading{Err: &scalers.Error{Kind: scalers.Invalid, Op: op, Err: err, Hint: "correct globPattern"}}
	}
	n := 0
	whole, err := blobs.List(ctx, azstorage.Listing{Container: q.container, Prefix: q.prefix, Delimiter: q.delimiter, Pages: maxPages},
		func(i azstorage.Item) {
			if matches(i.Name) {
				n++
			}
		})
	switch {
	case err != nil:
		return scalers.Reading{Err: azstorage.Failed(op, err)}
	case !whole:
		return scalers.Reading{Err: &scalers.Error{
			Kind: scalers.BadAnswer, Op: op, Err: fmt.Errorf("the listing has more than %d pages", maxPages),
			Hint: "narrow blobPrefix, or move handled blobs elsewhere",
		}}
	}
	return scalers.Reading{Value: float64(n)}
}

// matcher tells which names count.
func (q blobQuery) matcher() (func(string) bool, error) {
	if q.glob == "" {
		return func(string) bool { return true }, nil
	}
	pattern, err := compileGlob(q.glob)
	if err != nil {
		return nil, err
	}
	return pattern.MatchString, nil
}
