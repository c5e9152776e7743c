package azstorage_test

import (
	"fmt"
	"testing"

	"github.com/weir-sh/weir/pkg/scalers/internal/azstorage"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		in      string
		service azstorage.Service
		want    azstorage.Endpoint
		err     string
	}{
		{in: "AccountName=a;AccountKey=a2V5", service: azstorage.Queue, want: azstorage.Endpoint{URL: "https://a.queue.core.windows.net/", Account: "a", Key: "a2V5"}},
		{in: "AccountName=a;AccountKey=a2V5;", service: azstorage.Blob, want: azstorage.Endpoint{URL: "https://a.blob.core.windows.net/", Account: "a", Key: "a2V5"}},
		{in: "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=YQ==;EndpointSuffix=corp", service: azstorage.Blob, want: azstorage.Endpoint{URL: "http://a.blob.corp/", Account: "a", Key: "YQ=="}},
		{
			in: "AccountName=a;AccountKey=a2V5;BlobEndpoint=http://azurite:10000/a;QueueEndpoint=http://azurite:10001/a/", service: azstorage.Queue,
			want: azstorage.Endpoint{URL: "http://azurite:10001/a/", Account: "a", Key: "a2V5"},
		},
		{in: "BlobEndpoint=https://h;SharedAccessSignature=sv=1&sig=x%3D", service: azstorage.Blob, want: azstorage.Endpoint{URL: "https://h/?sv=1&sig=x%3D"}},
		{in: "AccountName=a;SharedAccessSignature=?sv=1", service: azstorage.Blob, want: azstorage.Endpoint{URL: "https://a.blob.core.windows.net/?sv=1"}},
		{in: "AccountName=a;AccountKey=a2V5;SharedAccessSignature=sv=1", service: azstorage.Blob, want: azstorage.Endpoint{URL: "https://a.blob.core.windows.net/", Account: "a", Key: "a2V5"}},
		{in: "", service: azstorage.Blob, err: "it is not made of key=value pairs that are separated by semicolons"},
		{in: "QueueEndpoint=http://h;SharedAccessSignature=sv=1", service: azstorage.Blob, err: "it needs AccountName or BlobEndpoint, in exactly this spelling"},
		{in: "BlobEndpoint=http://u:p@h;SharedAccessSignature=sv=1", service: azstorage.Blob, err: "its parts do not make an http or https address"},
		{in: "BlobEndpoint=http://h/%zz;SharedAccessSignature=sv=1", service: azstorage.Blob, err: "its parts do not make an http or https address"},
		{in: "AccountName=a/b c;AccountKey=a2V5;EndpointSuffix=%", service: azstorage.Blob, err: "its parts do not make an http or https address"},
		{in: "AccountName=a;SharedAccessSignature=%zz", service: azstorage.Blob, err: "its SharedAccessSignature is not the query of an address"},
		{in: "UseDevelopmentStorage=true", service: azstorage.Blob, err: "UseDevelopmentStorage is not understood; write out AccountName, AccountKey and BlobEndpoint"},
	} {
		got, err := azstorage.Parse(c.in, c.service)
		if got != c.want || (err != nil || c.err != "") && fmt.Sprint(err) != c.err {
			t.Errorf("%s: %+v, %v\nwant %+v, %s", c.in, got, err, c.want, c.err)
		}
	}
}
