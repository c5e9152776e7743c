// Package gcpsecretmanager reads secrets of Google Cloud Secret Manager.
package gcpsecretmanager

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"sync"

	secretmanager "cloud.google.com/go/secretmanager/apiv1"
	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/api/option"

	"github.com/weir-sh/weir/pkg/cloud/gcpauth"
	"github.com/weir-sh/weir/pkg/kube/secretstore"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// Config is what a Store needs.
type Config struct {
	// Env is how to connect: Dial, which must be set, ClientName and RootCAs.
	Env scalers.Env
	// Endpoint is where the API listens; zero means Google's.
	Endpoint gcpauth.Endpoint
}

// Store opens sessions with Secret Manager.
type Store struct{ cfg Config }

// New makes a Store.
func New(c Config) *Store {
	if c.Endpoint == (gcpauth.Endpoint{}) {
		c.Endpoint.Address = "secretmanager.googleapis.com:443"
	}
	return &Store{c}
}

// scope is the only one that Secret Manager accepts.
const scope = "https://www.googleapis.com/auth/cloud-platform"

// Open implements secretstore.Store.
func (s *Store) Open(l secretstore.GCPLogin) (secretstore.Session[secretstore.GCPItem], error) {
	var settings gcpauth.Settings
	if _, err := param.Parse(param.Values{
		Auth: map[string]string{"GoogleApplicationCredentials": l.Key.Reveal()}, Identity: l.Identity,
	}, settings.Bind); err != nil {
		return nil, &scalers.Error{Kind: scalers.Invalid, Op: "connecting to Google Cloud Secret Manager", Err: errors.New("there are no credentials"), Hint: "set credentials, or podIdentity gcp"}
	}
	return &session{cfg: s.cfg, settings: settings}, nil
}

// session connects with the first read: finding the process's identity may ask
// the metadata server.
type session struct {
	cfg      Config
	settings gcpauth.Settings

	mu          sync.Mutex // held while connecting
	client      *secretmanager.Client
	credentials *gcpauth.Credentials
	project     string
}

// connect makes the client. What fails is tried again by the next read.
func (s *session) connect(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client != nil {
		return nil
	}
	credentials, err := s.settings.Open(ctx, s.cfg.Env, scope)
	if err != nil {
		return err
	}
	project, err := credentials.Project(ctx)
	if err != nil {
		return err
	}
	conn, err := credentials.Dial(s.cfg.Env, s.cfg.Endpoint)
	if err != nil {
		return err
	}
	client, err := secretmanager.NewClient(ctx, option.WithGRPCConn(conn))
	if err != nil {
		return errors.Join(&scalers.Error{Kind: scalers.Invalid, Op: "connecting to Google Cloud Secret Manager", Err: errors.New("the client refuses to be made")}, conn.Close())
	}
	client.CallOptions.AccessSecretVersion = nil // the library would retry for a minute; the cache does that better
	s.client, s.credentials, s.project = client, credentials, project
	return nil
}

// Close implements secretstore.Session.
func (s *session) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client == nil {
		return nil
	}
	return s.client.Close()
}

// Read implements secretstore.Session. The secret is the field without a name.
func (s *session) Read(ctx context.Context, item secretstore.GCPItem) (secretstore.Secret, error) {
	op := fmt.Sprintf("reading Secret Manager secret %q", item.ID)
	version := cmp.Or(item.Version, "latest")
	if item.ID == "" || strings.Contains(item.ID+version, "/") {
		return secretstore.Secret{}, &scalers.Error{Kind: scalers.Invalid, Op: op, Err: errors.New("the id or the version is not one of a secret"), Hint: "give the secret's name without its project"}
	}
	if err := s.connect(ctx); err != nil {
		return secretstore.Secret{}, err
	}
	op += fmt.Sprintf(" of project %q", s.project)
	got, err := s.client.AccessSecretVersion(ctx, &secretmanagerpb.AccessSecretVersionRequest{
		Name: fmt.Sprintf("projects/%s/secrets/%s/versions/%s", s.project, item.ID, version),
	})
	if err != nil {
		return secretstore.Secret{}, s.credentials.Failed(ctx, op, "grant the account the role roles/secretmanager.secretAccessor on the secret", err)
	}
	payload := got.GetPayload()
	if payload == nil {
		return secretstore.Secret{}, &scalers.Error{Kind: scalers.BadAnswer, Op: op, Err: errors.New("the answer holds no value")}
	}
	if payload.DataCrc32C != nil && int64(crc32.Checksum(payload.GetData(), crc32.MakeTable(crc32.Castagnoli))) != payload.GetDataCrc32C() {
		return secretstore.Secret{}, &scalers.Error{Kind: scalers.BadAnswer, Op: op, Err: errors.New("the value was damaged on its way")}
	}
	return secretstore.Secret{Fields: map[string]string{"": string(payload.GetData())}}, nil
}
