package azureeventhub

import (
	"context"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

const (
	// eventHubsScope is what tokens are for. The SDK asks for the same.
	eventHubsScope = "https://eventhubs.azure.net//.default"
	// fetchTimeout bounds the fetching of a token in the background.
	fetchTimeout = 30 * time.Second
)

// tokens hands a credential to the SDK, which asks for a token before each
// request, on a context without an end. They are fetched before instead, with
// each measurement, and given to it from memory while they are good. Only where
// nothing was measured until a token ended is one fetched when the SDK asks.
type tokens struct {
	credential azcore.TokenCredential

	mu   sync.Mutex // guards last
	last azcore.AccessToken

	ended chan struct{} // closed with the hub
}

func newTokens(c azcore.TokenCredential) *tokens {
	return &tokens{credential: c, ended: make(chan struct{})}
}

// fetch gets a token, which the credential keeps while it is good.
func (t *tokens) fetch(ctx context.Context) error {
	got, err := t.credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{eventHubsScope}})
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = got
	return nil
}

// GetToken implements azcore.TokenCredential.
func (t *tokens) GetToken(ctx context.Context, _ policy.TokenRequestOptions) (azcore.AccessToken, error) {
	t.mu.Lock()
	last := t.last
	t.mu.Unlock()
	if time.Until(last.ExpiresOn) > time.Minute {
		return last, nil
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	go func() {
		select {
		case <-t.ended:
			cancel()
		case <-ctx.Done():
		}
	}()
	if err := t.fetch(ctx); err != nil {
		return azcore.AccessToken{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last, nil
}
