package awsauth

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/weir-sh/weir/pkg/scalers"
)

// Each is scalers.Each for a service of AWS without a batch call. It gets
// credentials before the first query, so that what is wrong with them is one
// error of the whole source and not a request for each query.
func Each[Q comparable](cfg aws.Config, parallel int, measure func(context.Context, Q) scalers.Reading, stop func() error) scalers.Source[Q] {
	return each[Q]{scalers.Each(parallel, measure, stop), cfg}
}

type each[Q comparable] struct {
	scalers.Source[Q]
	cfg aws.Config
}

// Fetch implements scalers.Source.
func (e each[Q]) Fetch(ctx context.Context, queries []Q) ([]scalers.Reading, error) {
	if err := Ready(ctx, e.cfg); err != nil {
		return nil, err
	}
	return e.Source.Fetch(ctx, queries)
}
