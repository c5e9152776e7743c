// Package azurestorage scales on the messages of Azure storage queues and on the
// number of blobs in a container.
package azurestorage

import (
	"context"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/internal/azstorage"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// Scalers returns the two scaler types of this package, sorted by type.
func Scalers() []*scalers.Definition {
	return []*scalers.Definition{defineBlob(), defineQueue()}
}

func defineQueue() *scalers.Definition {
	return scalers.Define(scalers.Spec[azstorage.Settings, queueQuery]{
		Type:    "azure-queue",
		Summary: "Scales on the number of messages in an Azure storage queue.",
		Unit:    "messages",
		Settings: func(s *azstorage.Settings, p *param.Set) {
			s.Bind(p, azstorage.Queue, param.Auth, param.Metadata, param.Env)
		},
		Query:      (*queueQuery).bind,
		Target:     scalers.Target{Param: "queueLength", Default: 5, Activation: "activationQueueLength", Whole: true},
		MetricName: func(_ azstorage.Settings, q queueQuery) string { return "azure-queue-" + q.name },
		Open: func(_ context.Context, env scalers.Env, s azstorage.Settings) (scalers.Source[queueQuery], error) {
			client, err := s.Open(env, azstorage.Queue, parallel)
			if err != nil {
				return nil, err
			}
			q, err := newQueues(client)
			if err != nil {
				return nil, err
			}
			return scalers.Each(parallel, q.measure, client.Close), nil
		},
		PerQuery: true,
		Page:     queuePage(),
		Examples: queueExamples(),
	})
}

func defineBlob() *scalers.Definition {
	return scalers.Define(scalers.Spec[azstorage.Settings, blobQuery]{
		Type:    "azure-blob",
		Summary: "Scales on the number of blobs in an Azure storage container.",
		Unit:    "blobs",
		Settings: func(s *azstorage.Settings, p *param.Set) {
			s.Bind(p, azstorage.Blob, param.Auth, param.Env, param.Metadata)
		},
		Query:      (*blobQuery).bind,
		Target:     scalers.Target{Param: "blobCount", Default: 5, Activation: "activationBlobCount", Whole: true},
		MetricName: func(_ azstorage.Settings, q blobQuery) string { return "azure-blob-" + q.container },
		Open: func(_ context.Context, env scalers.Env, s azstorage.Settings) (scalers.Source[blobQuery], error) {
			client, err := s.Open(env, azstorage.Blob, parallel)
			if err != nil {
				return nil, err
			}
			blobs, err := azstorage.NewBlobs(client)
			if err != nil {
				return nil, err
			}
			return scalers.Each(parallel, func(ctx context.Context, q blobQuery) scalers.Reading {
				return measureBlobs(ctx, blobs, q)
			}, client.Close), nil
		},
		PerQuery: true,
		Page:     blobPage(),
		Examples: blobExamples(),
	})
}
