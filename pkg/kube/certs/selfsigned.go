package certs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// DefaultSecret is the name of the Secret that holds the self-signed certificates.
const DefaultSecret = "weir-certs"

// ownedAnnotation marks a Secret whose content weir has made and may replace.
const ownedAnnotation = "weir.sh/self-signed"

// maxTries bounds how often one Load begins again because another replica has
// written the Secret meanwhile. Each round somebody has made progress.
const maxTries = 10

// Secrets is the access to the Secrets of one namespace;
// CoreV1().Secrets(namespace) of a clientset is one.
type Secrets interface {
	Get(ctx context.Context, name string, opts metav1.GetOptions) (*corev1.Secret, error)
	Create(ctx context.Context, secret *corev1.Secret, opts metav1.CreateOptions) (*corev1.Secret, error)
	Update(ctx context.Context, secret *corev1.Secret, opts metav1.UpdateOptions) (*corev1.Secret, error)
}

// SelfSignedConfig says where a [SelfSigned] keeps its certificates and for whom.
type SelfSignedConfig struct {
	Secrets Secrets // required
	// Namespace is where Secrets looks, for messages and for the object made. Required.
	Namespace string
	// Name of the Secret; empty means DefaultSecret.
	Name string
	// Names the serving certificate is for: DNS names and IP addresses, at
	// least one. See [ServiceNames]. A certificate that lacks one is renewed.
	Names []string
	// Interval between two reads of the Secret; zero means two minutes. A
	// renewal by another replica is taken over within this time.
	Interval time.Duration
	Log      *slog.Logger // required
}

// SelfSigned is a [Source] that makes its own certificates and shares them with
// the other replicas through a Secret. Any replica may renew; the Secret's
// resource version decides who was first, and the others take over the result.
//
// A Secret with content weir did not write is refused, never replaced. Content
// weir wrote and cannot read any more is replaced. Deleting the Secret starts
// from nothing, which is the way to get rid of a key that has leaked.
type SelfSigned struct {
	current
	cfg SelfSignedConfig
}

// NewSelfSigned checks cfg; it does no I/O.
func NewSelfSigned(cfg SelfSignedConfig) (*SelfSigned, error) {
	switch {
	case cfg.Secrets == nil || cfg.Log == nil:
		return nil, errors.New("self-signed certificates need Secrets and Log")
	case cfg.Namespace == "":
		return nil, errors.New("self-signed certificates need the namespace of their Secret")
	case len(cfg.Names) == 0:
		return nil, errors.New("self-signed certificates need at least one name to be for")
	}
	if cfg.Name == "" {
		cfg.Name = DefaultSecret
	}
	if cfg.Interval == 0 {
		cfg.Interval = 2 * time.Minute
	}
	return &SelfSigned{cfg: cfg}, nil
}

// Run loads the certificates, then keeps them fresh until ctx ends. Errors are
// logged and tried again; meanwhile the last certificate stays. It returns nil.
func (s *SelfSigned) Run(ctx context.Context) error {
	repeat(ctx, s.cfg.Log, s.cfg.Interval, nil, s.Load)
	return nil
}

// Load reads the Secret, writes it when it is missing or something in it is
// due, and makes the result current. It is safe beside other replicas doing
// the same.
func (s *SelfSigned) Load(ctx context.Context) error {
	for range maxTries {
		done, err := s.try(ctx)
		if err != nil {
			return fmt.Errorf("loading Secret %s/%s: %w", s.cfg.Namespace, s.cfg.Name, err)
		}
		if done {
			return nil
		}
	}
	return fmt.Errorf("loading Secret %s/%s: others changed it %d times in a row; see who writes it beside weir",
		s.cfg.Namespace, s.cfg.Name, maxTries)
}

// try is one round of Load; done is false when another replica was faster.
func (s *SelfSigned) try(ctx context.Context) (done bool, err error) {
	secret, err := s.cfg.Secrets.Get(ctx, s.cfg.Name, metav1.GetOptions{})
	missing := apierrors.IsNotFound(err)
	switch {
	case missing:
		secret = &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: s.cfg.Name, Namespace: s.cfg.Namespace}}
	case err != nil:
		return false, err
	case len(secret.Data) > 0 && secret.Annotations[ownedAnnotation] == "":
		return false, errors.New("it has content that weir did not write: " +
			"delete it, or mount it and name its directory as the source of certificates")
	}
	data, reasons, err := renew(secret.Data, s.cfg.Names, time.Now())
	if err != nil {
		return false, err
	}
	next, err := newPair(data[certName], data[keyName], data[caName])
	if err != nil {
		return false, err
	}
	if len(reasons) > 0 {
		switch err := s.write(ctx, secret, data, missing); {
		case apierrors.IsAlreadyExists(err) || apierrors.IsConflict(err):
			return false, nil
		case err != nil:
			return false, err
		}
		s.cfg.Log.Info("self-signed certificates written", "object", s.cfg.Namespace+"/"+s.cfg.Name,
			"reason", strings.Join(reasons, "; "))
	}
	s.set(next)
	return true, nil
}

func (s *SelfSigned) write(ctx context.Context, read *corev1.Secret, data map[string][]byte, missing bool) error {
	secret := read.DeepCopy()
	if secret.Data == nil {
		secret.Data = map[string][]byte{}
	}
	maps.Copy(secret.Data, data)
	metav1.SetMetaDataAnnotation(&secret.ObjectMeta, ownedAnnotation, "true")
	var err error
	if missing {
		_, err = s.cfg.Secrets.Create(ctx, secret, metav1.CreateOptions{FieldManager: fieldManager})
	} else {
		_, err = s.cfg.Secrets.Update(ctx, secret, metav1.UpdateOptions{FieldManager: fieldManager})
	}
	return err
}
