package controlplane_test

import (
	"reflect"
	"testing"

	"github.com/weir-sh/weir/test/cluster/internal/controlplane"
)

func TestAUserIsANameAndGroups(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text    string
		want    controlplane.User
		wantErr string
	}{
		{text: "alice", want: controlplane.User{Name: "alice"}},
		{text: "alice:", want: controlplane.User{Name: "alice"}},
		{text: "alice:dev, ops", want: controlplane.User{Name: "alice", Groups: []string{"dev", "ops"}}},
		{text: "system:node:a:system-nodes", want: controlplane.User{Name: "system:node:a", Groups: []string{"system-nodes"}}},
		{text: ":dev", wantErr: `reading user ":dev": the name is empty; write NAME:GROUP,GROUP`},
	} {
		got, err := controlplane.ParseUser(test.text)
		text := ""
		if err != nil {
			text = err.Error()
		}
		if text != test.wantErr || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%q: got %+v, %q", test.text, got, text)
		}
	}
}
