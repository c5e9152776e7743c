// Package gcpauth says as whom a scaler asks Google Cloud, and gives the tokens
// for it.
//
// There are two ways. The key of a service account comes with the trigger: its
// tokens are signed here and never fetched, so that nothing in the key decides
// where a request goes. The identity of the process itself (podIdentity gcp) is
// what Google's libraries find: a file that an environment variable names, or the
// metadata server. Settings that use it hold the namespace that they belong to.
//
// Tokens refresh while a source stays open. A token is never sent in plain text,
// and one of the process itself goes to Google's own hosts only.
package gcpauth

import (
	"strings"

	"github.com/weir-sh/weir/pkg/scalers/param"
)

// Settings are the credentials of a trigger. They are comparable, so a scaler's
// settings can hold them. The zero value is no credentials.
type Settings struct {
	key   param.Secret // of a service account, as JSON
	own   bool         // the identity of the process
	scope string       // own only: the namespace it may be used from; empty means all
	fault fault        // why opening is in vain
}

// fault is what keeps settings that parse from being usable.
type fault uint8

const (
	unset fault = iota + 1 // the environment variable holds nothing
	file                   // a file of the process was named
)

// The parameters.
const (
	keyParam  = "GoogleApplicationCredentials"
	envParam  = "credentials"
	fileParam = "credentialsFromEnvFile"

	provider = "gcp" // of the pod identity
)

// IsZero reports whether there are no credentials.
func (s Settings) IsZero() bool { return s == Settings{} }

// Own reports whether they are those of the process itself.
func (s Settings) Own() bool { return s.own }

// Bind declares the parameters. Credentials are required.
func (s *Settings) Bind(p *param.Set) { s.bind(p, true) }

// BindOptional declares the parameters. Without credentials the settings stay
// zero.
func (s *Settings) BindOptional(p *param.Set) { s.bind(p, false) }

func (s *Settings) bind(p *param.Set, required bool) {
	var key, variable param.Secret
	var path string
	p.Secret(&key, keyParam, "Key of the service account to connect as: the JSON that Google made, of type service_account. Not needed with podIdentity gcp.")
	p.Secret(&variable, envParam, "The same key in an environment variable of the workload.", param.From(param.Env))
	p.String(&path, fileParam, "Not supported: no trigger may read files of the process. Use `credentialsFromEnv`.")
	p.Check(func() error {
		*s = Settings{}
		v := p.Values()
		named := strings.TrimSpace(v.Metadata[envParam+"FromEnv"]) != ""
		if path != "" {
			p.Warn(fileParam, "is not supported: no trigger may read files of the process; use credentialsFromEnv, or an authentication object")
		}
		switch {
		case v.Identity.Provider == provider:
			*s = Settings{own: true, scope: v.Scope()}
			if p.Given(keyParam) || named {
				p.Warn(keyParam, "is ignored, as podIdentity gcp comes first; remove one of them")
			}
		case p.Given(keyParam):
			s.key = key
		case p.Given(envParam):
			s.key = variable
		case named:
			s.fault = unset
		case path != "":
			s.fault = file
		case required:
			return param.Wrong(keyParam, "is required as an authentication parameter, or through credentialsFromEnv, unless the authentication object has podIdentity gcp")
		}
		return nil
	})
}
