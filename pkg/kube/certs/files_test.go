package certs_test

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-sh/weir/pkg/kube/certs"
)

// write puts what a store holds into dir, as a mounted Secret does.
func write(t *testing.T, dir string, s *store, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), s.data(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// newSource returns a store with certificates of an authority of its own.
func newSource(t *testing.T) (*store, *certs.SelfSigned) {
	t.Helper()
	s := &store{}
	replica := selfSigned(t, s)
	load(t, replica)
	return s, replica
}

func files(t *testing.T, dir string, log *slog.Logger) *certs.Files {
	t.Helper()
	f, err := certs.NewFiles(certs.FilesConfig{Dir: dir, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFilesAreFollowedWhenTheyChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, log := t.TempDir(), &lines{}
		f := files(t, dir, logTo(log))
		changes := make(chan struct{}, 10)
		f.OnChange(func() { changes <- struct{}{} })
		start(t, f.Run)

		time.Sleep(time.Minute)
		if got := log.take(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "tls.crt: no such file or directory") {
			t.Errorf("without files: %s", got)
		}
		first, source := newSource(t)
		write(t, dir, first, "tls.crt", "tls.key", "ca.crt")
		<-changes
		verify(t, f, source.CABundle())
		synctest.Wait() // the change is told before it is logged
		log.take()

		second, source := newSource(t)
		write(t, dir, second, "tls.crt") // the midst of a change
		time.Sleep(time.Minute)
		verify(t, f, f.CABundle())
		if got := log.take(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "parsing tls.crt and tls.key: tls: private key") {
			t.Errorf("in the midst of a change: %s", got)
		}
		write(t, dir, second, "tls.key", "ca.crt")
		<-changes
		verify(t, f, source.CABundle())
		time.Sleep(time.Minute)
		if got, want := log.take(), "level=INFO msg=\"serving certificate changed\" source="+dir+"\n"+
			"level=INFO msg=\"certificate upkeep works again\" after="; !strings.HasPrefix(got, want) || strings.Count(got, "\n") != 2 {
			t.Errorf("after the change: %swant %s", got, want)
		}
		if len(changes) != 0 {
			t.Error("files that are the same count as a change")
		}
	})
}

func TestFilesOfAPublicAuthorityHaveNoBundle(t *testing.T) {
	dir := t.TempDir()
	s, _ := newSource(t)
	write(t, dir, s, "tls.crt", "tls.key")
	f := files(t, dir, slog.New(slog.DiscardHandler))
	load(t, f)
	if cert, _ := f.CertKeyPEM(); len(cert) == 0 || f.CABundle() != nil {
		t.Errorf("certificate of %d bytes, bundle %q", len(cert), f.CABundle())
	}
}

func TestFilesThatCannotBeUsedAreNamed(t *testing.T) {
	s, _ := newSource(t)
	for name, test := range map[string]struct {
		files   []string
		bundle  string
		wantErr string
	}{
		"no certificate":    {nil, "", "open DIR/tls.crt: no such file or directory"},
		"no key":            {[]string{"tls.crt"}, "", "open DIR/tls.key: no such file or directory"},
		"bundle is not PEM": {[]string{"tls.crt", "tls.key"}, "garbage", "parsing ca.crt: not PEM"},
		"bundle is empty":   {[]string{"tls.crt", "tls.key"}, "\n", "parsing ca.crt: empty"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, s, test.files...)
			if test.bundle != "" {
				if err := os.WriteFile(filepath.Join(dir, "ca.crt"), []byte(test.bundle), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			err := files(t, dir, slog.New(slog.DiscardHandler)).Load(t.Context())
			if want := "reading certificates from DIR: " + test.wantErr; err == nil || strings.ReplaceAll(err.Error(), dir, "DIR") != want {
				t.Errorf("got  %v\nwant %s", err, want)
			}
			if len(test.files) < 2 && !errors.Is(err, fs.ErrNotExist) {
				t.Error("the cause got lost")
			}
		})
	}
}
