package kafka

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/IBM/sarama"
	"github.com/jcmturner/gokrb5/v8/config"
	"github.com/jcmturner/gokrb5/v8/krberror"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// files are what sarama reads for Kerberos, in a folder that only this process's
// user can read.
type files struct{ dir, config, keytab string }

// write makes the files.
func (k kerberos) write() (*files, error) {
	dir, err := os.MkdirTemp("", "weir-kafka-")
	if err != nil {
		return nil, unusable("the folder for Kerberos files cannot be made", "give the process a temporary folder it can write to")
	}
	f := &files{dir: dir, config: filepath.Join(dir, "krb5.conf"), keytab: filepath.Join(dir, "keytab")}
	for path, contents := range map[string]param.Secret{f.config: k.config, f.keytab: k.keytab} {
		if err := os.WriteFile(path, []byte(contents.Reveal()), 0o600); err != nil {
			return nil, errors.Join(unusable("the Kerberos files cannot be written", "see that the temporary folder is not full"), f.close())
		}
	}
	return f, nil
}

// close removes the files.
func (f *files) close() error {
	if f == nil {
		return nil
	}
	return os.RemoveAll(f.dir)
}

// configure sets how to log in.
func (k kerberos) configure(f *files, c *sarama.Config) {
	c.Net.SASL.GSSAPI = sarama.GSSAPIConfig{
		AuthType: sarama.KRB5_USER_AUTH, KerberosConfigPath: f.config, ServiceName: k.service,
		Username: c.Net.SASL.User, Password: c.Net.SASL.Password, Realm: k.realm.Reveal(), DisablePAFXFAST: k.noFAST,
	}
	if !k.keytab.IsZero() {
		c.Net.SASL.GSSAPI.AuthType, c.Net.SASL.GSSAPI.KeyTabPath = sarama.KRB5_KEYTAB_AUTH, f.keytab
	}
}

// reachable refuses Kerberos servers that no trigger may reach. The library
// connects to them itself; looking their addresses up in the DNS is off, so that
// only those written down are used.
func reachable(ctx context.Context, env scalers.Env, k kerberos) error {
	const op = "reading kerberosConfig"
	parsed, err := config.NewFromString(k.config.Reveal())
	if _, unknown := errors.AsType[config.UnsupportedDirective](err); err != nil && !unknown {
		return &scalers.Error{Kind: scalers.Invalid, Op: op, Err: errors.New("it cannot be parsed"), Hint: "give the contents of krb5.conf"}
	}
	if parsed.LibDefaults.DNSLookupKDC {
		return &scalers.Error{Kind: scalers.Invalid, Op: op, Err: errors.New("it has servers looked up in the DNS"), Hint: "set dns_lookup_kdc to false and write the servers down"}
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	for _, realm := range parsed.Realms {
		for _, server := range realm.KDC {
			if _, _, err := net.SplitHostPort(server); err != nil {
				server = net.JoinHostPort(server, "88")
			}
			conn, err := env.Dial(ctx, "tcp", server)
			if err != nil {
				return &scalers.Error{Kind: scalers.Unreachable, Op: "connecting to a Kerberos server", Err: failureOf(err), Hint: "check the servers of kerberosConfig; each must answer over TCP"}
			}
			if err := conn.Close(); err != nil {
				return &scalers.Error{Kind: scalers.Unreachable, Op: "connecting to a Kerberos server", Err: failureOf(err)}
			}
		}
	}
	return nil
}

// untoldByKerberos makes an error of the Kerberos library one that does not name
// the user.
func (a *access) untoldByKerberos(err error) error {
	_, network := errors.AsType[*net.OpError](err)
	code, _ := codeOf(err)
	if err == nil || a.settings.mechanism != gssapi || network || code != sarama.ErrNoError || errors.Is(err, io.EOF) {
		return err
	}
	e := &scalers.Error{
		Kind: scalers.Unauthorized, Op: "logging in by Kerberos", Err: errors.New("the login fails"),
		Hint: "check username, password or keytab, realm, kerberosServiceName and kerberosConfig",
	}
	if said, ok := errors.AsType[krberror.Krberror](err); ok && said.RootCause == krberror.NetworkingError {
		e.Kind, e.Err = scalers.Unreachable, errors.New("the Kerberos servers do not answer")
	}
	return e
}
