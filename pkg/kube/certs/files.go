package certs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"
)

// FilesConfig says where [Files] finds its certificates.
type FilesConfig struct {
	// Dir holds tls.crt, tls.key and, when the certificate is not of a public
	// authority, ca.crt. Required.
	Dir string
	// Interval between two looks at the files; zero means ten seconds.
	Interval time.Duration
	Log      *slog.Logger // required
}

// Files is a [Source] that reads a directory somebody else keeps up to date.
// Files that do not belong together, as in the midst of a change, are not taken
// over; the last good ones stay.
type Files struct {
	current
	cfg FilesConfig
}

// NewFiles checks cfg; it does no I/O.
func NewFiles(cfg FilesConfig) (*Files, error) {
	if cfg.Dir == "" || cfg.Log == nil {
		return nil, errors.New("certificates from files need Dir and Log")
	}
	if cfg.Interval == 0 {
		cfg.Interval = 10 * time.Second
	}
	return &Files{cfg: cfg}, nil
}

// Run loads the files, then follows their changes until ctx ends. Errors are
// logged and tried again. It returns nil.
func (f *Files) Run(ctx context.Context) error {
	repeat(ctx, f.cfg.Log, f.cfg.Interval, nil, f.Load)
	return nil
}

// Load reads the files and makes them current. The context is not used.
func (f *Files) Load(context.Context) error {
	next, err := f.read()
	if err != nil {
		return fmt.Errorf("reading certificates from %s: %w", f.cfg.Dir, err)
	}
	first := f.now.Load() == nil
	if f.set(next) && !first {
		f.cfg.Log.Info("serving certificate changed", "source", f.cfg.Dir)
	}
	return nil
}

func (f *Files) read() (*pair, error) {
	cert, err := os.ReadFile(filepath.Join(f.cfg.Dir, certName))
	if err != nil {
		return nil, err
	}
	key, err := os.ReadFile(filepath.Join(f.cfg.Dir, keyName))
	if err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(filepath.Join(f.cfg.Dir, caName))
	if errors.Is(err, fs.ErrNotExist) {
		return newPair(cert, key, nil)
	}
	if err != nil {
		return nil, err
	}
	if _, err := parseBundle(ca); err != nil {
		return nil, fmt.Errorf("parsing %s: %w", caName, err)
	}
	return newPair(cert, key, ca)
}
