package azureeventhub

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

// login gives tokens that are good for an hour, or nothing at all.
type login struct {
	asked  int
	silent bool
}

// GetToken implements azcore.TokenCredential.
func (l *login) GetToken(ctx context.Context, _ policy.TokenRequestOptions) (azcore.AccessToken, error) {
	l.asked++
	if l.silent {
		<-ctx.Done()
		return azcore.AccessToken{}, ctx.Err()
	}
	return azcore.AccessToken{Token: "t", ExpiresOn: time.Now().Add(time.Hour)}, nil
}

func TestTokensComeFromMemoryWhileTheyAreGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &login{}
		tokens := newTokens(l)
		if err := tokens.fetch(t.Context()); err != nil {
			t.Fatal(err)
		}
		get := func(want int) {
			t.Helper()
			got, err := tokens.GetToken(context.Background(), policy.TokenRequestOptions{})
			if err != nil || got.Token != "t" || time.Until(got.ExpiresOn) < time.Minute || l.asked != want {
				t.Errorf("%v, %v after asking %d times, want %d", got, err, l.asked, want)
			}
		}
		get(1)
		time.Sleep(58 * time.Minute)
		get(1)
		time.Sleep(2 * time.Minute)
		get(2)
	})
}

func TestALoginThatDoesNotAnswerIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tokens := newTokens(&login{silent: true})
		began := time.Now()
		if _, err := tokens.GetToken(context.Background(), policy.TokenRequestOptions{}); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != fetchTimeout {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		began = time.Now()
		time.AfterFunc(time.Second, func() { close(tokens.ended) })
		if _, err := tokens.GetToken(context.Background(), policy.TokenRequestOptions{}); !errors.Is(err, context.Canceled) || time.Since(began) != time.Second {
			t.Errorf("closed: %v after %v", err, time.Since(began))
		}
	})
}
