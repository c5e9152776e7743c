// Package awssecretsmanager reads secrets of AWS Secrets Manager.
package awssecretsmanager

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/weir-sh/weir/pkg/cloud/awsauth"
	"github.com/weir-sh/weir/pkg/kube/secretstore"
	"github.com/weir-sh/weir/pkg/scalers"
)

// Config is what a Store needs.
type Config struct {
	// Env is how to connect: HTTP, which must be set, ClientName and RootCAs.
	Env scalers.Env
	// Endpoint is the URL of the API, for a private endpoint or an emulator; empty
	// means that of the secret's region.
	Endpoint string
}

// Store opens sessions with Secrets Manager.
type Store struct{ cfg Config }

// New makes a Store.
func New(c Config) *Store { return &Store{c} }

// Open implements secretstore.Store.
func (s *Store) Open(l secretstore.AWSLogin) (secretstore.Session[secretstore.AWSItem], error) {
	// The login is the same for all namespaces: what two of them may read as the
	// same identity is the same.
	settings, err := awsauth.New(l.Region, awsauth.Keys{ID: l.AccessKey, Secret: l.SecretKey, Token: l.SessionToken}, l.Identity, "")
	if err != nil {
		return nil, err
	}
	return &session{cfg: s.cfg, settings: settings}, nil
}

// session makes its client with the first read: the process's configuration is in
// files and environment.
type session struct {
	cfg      Config
	settings awsauth.Settings

	mu     sync.Mutex // held while the client is made
	client *secretsmanager.Client
	close  func() error
}

// connect makes the client. What fails is tried again by the next read.
func (s *session) connect(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client != nil {
		return nil
	}
	cfg, closeAll, err := s.settings.Connect(ctx, s.cfg.Env, 1)
	if err != nil {
		return err
	}
	if cfg.Region == "" {
		return errors.Join(&scalers.Error{
			Kind: scalers.Invalid, Op: "connecting to AWS Secrets Manager", Err: errors.New("there is no region"), Hint: "set region, or give weir AWS_REGION",
		}, closeAll())
	}
	if s.cfg.Endpoint != "" {
		cfg.BaseEndpoint = &s.cfg.Endpoint
	}
	s.client, s.close = secretsmanager.NewFromConfig(cfg), closeAll
	return nil
}

// Close implements secretstore.Session.
func (s *session) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.close == nil {
		return nil
	}
	return s.close()
}

// Read implements secretstore.Session.
func (s *session) Read(ctx context.Context, item secretstore.AWSItem) (secretstore.Secret, error) {
	op := fmt.Sprintf("reading Secrets Manager secret %q", item.Name)
	if err := s.connect(ctx); err != nil {
		return secretstore.Secret{}, err
	}
	in := &secretsmanager.GetSecretValueInput{SecretId: &item.Name}
	if item.VersionID != "" {
		in.VersionId = &item.VersionID
	}
	if item.VersionStage != "" {
		in.VersionStage = &item.VersionStage
	}
	got, err := s.client.GetSecretValue(ctx, in)
	if err != nil {
		return secretstore.Secret{}, awsauth.Failed(op, err, "secretsmanager:GetSecretValue on the secret, and kms:Decrypt on its key")
	}
	whole := string(got.SecretBinary)
	if got.SecretString != nil {
		whole = *got.SecretString
	}
	return secretstore.Secret{Fields: fields(whole)}, nil
}

// fields are the whole under the empty name and, of a JSON object, its members
// that are text.
func fields(whole string) map[string]string {
	out := map[string]string{}
	var members map[string]any
	if json.Unmarshal([]byte(whole), &members) == nil {
		for k, v := range members {
			if text, ok := v.(string); ok {
				out[k] = text
			}
		}
	}
	out[""] = whole
	return out
}
