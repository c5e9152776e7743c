package awsauth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// refreshAhead is how long before credentials of a role end new ones are
// fetched. STS issues them for 15 minutes at least.
const refreshAhead = 5 * time.Minute

// sessionName is what a role's sessions are called in CloudTrail, and what its
// trust policy may ask for with the condition sts:RoleSessionName: any trigger may
// name any role, so whoever owns one can say for which namespace it is. Sessions
// for all namespaces are called "weir".
func sessionName(scope string) string {
	const prefix, most = "weir.", 64 // as STS allows
	switch {
	case scope == "":
		return "weir"
	case len(prefix+scope) > most: // two long names must not be taken for one
		sum := sha256.Sum256([]byte(scope))
		end := "." + hex.EncodeToString(sum[:8])
		return prefix + scope[:most-len(prefix+end)] + end
	}
	return prefix + scope
}

// assume returns credentials of the role, got with those of the process: by its
// web identity token where it has one, so that the role may trust the token's
// issuer, else by asking for the role as the process's own identity.
func (s Settings) assume(cfg aws.Config) aws.CredentialsProvider {
	client, session := sts.NewFromConfig(cfg), sessionName(s.scope)
	var ways firstOf
	for _, source := range cfg.ConfigSources {
		if env, ok := source.(config.EnvConfig); ok && env.WebIdentityTokenFilePath != "" {
			ways = append(ways, stscreds.NewWebIdentityRoleProvider(client, s.role, stscreds.IdentityTokenFile(env.WebIdentityTokenFilePath),
				func(o *stscreds.WebIdentityRoleOptions) { o.RoleSessionName = session }))
		}
	}
	ways = append(ways, stscreds.NewAssumeRoleProvider(client, s.role, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName = session
		if !s.externalID.IsZero() {
			o.ExternalID = aws.String(s.externalID.Reveal())
		}
	}))
	return aws.NewCredentialsCache(ways, func(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = refreshAhead })
}

// firstOf are ways to the same credentials, in the order they are tried.
type firstOf []aws.CredentialsProvider

// Retrieve implements aws.CredentialsProvider. The error is that of the last way.
func (f firstOf) Retrieve(ctx context.Context) (c aws.Credentials, err error) {
	for _, p := range f {
		if c, err = p.Retrieve(ctx); err == nil {
			return c, nil
		}
	}
	return aws.Credentials{}, err
}

// told marks errors as being about credentials.
type told struct {
	aws.CredentialsProvider
	role bool
}

// Retrieve implements aws.CredentialsProvider.
func (t told) Retrieve(ctx context.Context) (aws.Credentials, error) {
	c, err := t.CredentialsProvider.Retrieve(ctx)
	if err != nil {
		return aws.Credentials{}, &credentialsError{t.role, err}
	}
	return c, nil
}

// credentialsError says that there are no credentials to make a request with.
type credentialsError struct {
	role bool // for a role, else for the process itself
	err  error
}

// Error implements error.
func (e *credentialsError) Error() string { return fmt.Sprintf("getting credentials: %v", e.err) }

// Unwrap returns the cause.
func (e *credentialsError) Unwrap() error { return e.err }

// Ready gets credentials unless there are valid ones. A source that makes many
// requests calls it first, so that what is wrong with them is one error. The
// error is a *scalers.Error.
func Ready(ctx context.Context, cfg aws.Config) error {
	if cfg.Credentials == nil {
		return Failed("getting AWS credentials", errors.New("there is no provider"), "")
	}
	if _, err := cfg.Credentials.Retrieve(ctx); err != nil {
		return Failed("getting AWS credentials", err, "")
	}
	return nil
}
