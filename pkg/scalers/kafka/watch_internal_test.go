package kafka

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

func TestAWatchGoesOnUntilASurveyFindsNewPartitions(t *testing.T) {
	t.Parallel()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, "orders"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	s := settings{flavour: classic, bootstrap: param.NewList(c.ListenAddrs()...)}
	a, err := newAccess(t.Context(), scalers.Env{Dial: new(net.Dialer).DialContext}, s)
	if err != nil {
		t.Fatal(err)
	}
	w := &watch{cluster: newCluster(a), queries: map[place][]query{}, wake: func(query) {}, survey: 50 * time.Millisecond}
	t.Cleanup(w.hangUp)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	begin := time.Now()
	err = w.run(ctx, []query{{flavour: classic, group: "g", topics: param.NewList("orders")}, {flavour: classic, group: "g", topics: param.NewList("later")}}, func() {
		time.AfterFunc(4*w.survey, func() {
			if err := c.CreateTopic("later", 1, nil); err != nil {
				t.Errorf("creating a topic: %v", err)
			}
		})
	})
	if !errors.Is(err, errChanged) || time.Since(begin) < 4*w.survey {
		t.Errorf("%v after %v", err, time.Since(begin))
	}
}
