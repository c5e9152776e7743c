package azstorage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"

	"github.com/weir-sh/weir/pkg/scalers"
)

// Blobs reads the blob service of one account. It is safe for use by several
// goroutines. Errors are those of the SDK; see Failed and Missing.
type Blobs struct{ service *service.Client }

// NewBlobs makes a reader of the blob service that c is for.
func NewBlobs(c *Client) (*Blobs, error) {
	options := &service.ClientOptions{ClientOptions: c.Options}
	var s *service.Client
	var err error
	switch {
	case c.Credential != nil:
		s, err = service.NewClient(c.URL, c.Credential, options)
	case c.Key != "":
		var key *azblob.SharedKeyCredential
		if key, err = azblob.NewSharedKeyCredential(c.Account, c.Key); err == nil {
			s, err = service.NewClientWithSharedKeyCredential(c.URL, key, options)
		}
	default:
		s, err = service.NewClientWithNoCredential(c.URL, options)
	}
	if err != nil {
		return nil, Failed("preparing the blob client", err)
	}
	return &Blobs{s}, nil
}

// Missing reports whether err says that the blob or its container does not exist.
func Missing(err error) bool {
	return bloberror.HasCode(err, bloberror.BlobNotFound, bloberror.ContainerNotFound)
}

// Item is what a listing tells of a blob.
type Item struct {
	Name     string
	ETag     azcore.ETag
	Metadata map[string]*string // nil unless asked for
}

// Listing says what to list.
type Listing struct {
	Container, Prefix string
	Delimiter         string // empty lists all blobs, else those without it after the prefix
	Metadata          bool   // with the blobs' metadata
	Pages             int    // read no more than these, of up to 5,000 entries each
}

// List calls visit for each blob; whole is false when more pages followed than
// were to be read.
func (b *Blobs) List(ctx context.Context, l Listing, visit func(Item)) (whole bool, err error) {
	next, more := b.pages(l)
	for range l.Pages {
		if !more() {
			return true, nil
		}
		items, err := next(ctx)
		if err != nil {
			return false, err
		}
		for _, i := range items {
			if i.Name != nil {
				visit(itemOf(i))
			}
		}
	}
	return !more(), nil
}

func itemOf(i *container.BlobItem) Item {
	out := Item{Name: *i.Name, Metadata: i.Metadata}
	if i.Properties != nil && i.Properties.ETag != nil {
		out.ETag = *i.Properties.ETag
	}
	return out
}

// errNoListing says that an answer is another document, which the SDK takes for an
// empty listing.
var errNoListing = errors.New("it is not a listing of blobs; check that the address is the account's and not a proxy's")

// pages returns how to get the pages of a listing, and whether there are more.
func (b *Blobs) pages(l Listing) (next func(context.Context) ([]*container.BlobItem, error), more func() bool) {
	c := b.container(l.Container)
	include := container.ListBlobsInclude{Metadata: l.Metadata}
	if l.Delimiter == "" {
		pager := c.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Prefix: &l.Prefix, Include: include})
		return func(ctx context.Context) ([]*container.BlobItem, error) {
			page, err := pager.NextPage(ctx)
			switch {
			case err != nil:
				return nil, err
			case page.Segment == nil:
				return nil, errNoListing
			}
			return page.Segment.BlobItems, nil
		}, pager.More
	}
	pager := c.NewListBlobsHierarchyPager(l.Delimiter, &container.ListBlobsHierarchyOptions{Prefix: &l.Prefix, Include: include})
	return func(ctx context.Context) ([]*container.BlobItem, error) {
		page, err := pager.NextPage(ctx)
		switch {
		case err != nil:
			return nil, err
		case page.Segment == nil:
			return nil, errNoListing
		}
		return page.Segment.BlobItems, nil
	}, pager.More
}

func (b *Blobs) container(name string) *container.Client {
	return b.service.NewContainerClient(url.PathEscape(name))
}

// Properties returns a blob's metadata and tag.
func (b *Blobs) Properties(ctx context.Context, containerName, name string) (Item, error) {
	got, err := b.container(containerName).NewBlobClient(name).GetProperties(ctx, nil)
	if err != nil {
		return Item{}, err
	}
	out := Item{Name: name, Metadata: got.Metadata}
	if got.ETag != nil {
		out.ETag = *got.ETag
	}
	return out, nil
}

// Content returns a blob of up to most bytes and its tag. It returns no content
// and unless when the blob still has that tag.
func (b *Blobs) Content(ctx context.Context, containerName, name string, unless azcore.ETag, most int64) ([]byte, azcore.ETag, error) {
	options := &blob.DownloadStreamOptions{}
	if unless != "" {
		options.AccessConditions = &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfNoneMatch: &unless}}
	}
	got, err := b.container(containerName).NewBlobClient(name).DownloadStream(ctx, options)
	if err != nil {
		return nil, "", err
	}
	if got.Body == nil { // status 304, which the SDK does not take for an error
		return nil, unless, nil
	}
	defer got.Body.Close() //nolint:errcheck // only read from
	body, err := io.ReadAll(io.LimitReader(got.Body, most+1))
	switch {
	case err != nil:
		return nil, "", err
	case int64(len(body)) > most:
		return nil, "", &scalers.Error{Kind: scalers.BadAnswer, Op: "reading a blob", Err: fmt.Errorf("it is larger than %d bytes", most)}
	case got.ETag == nil:
		return body, "", nil
	}
	return body, *got.ETag, nil
}
