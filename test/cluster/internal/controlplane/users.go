package controlplane

import (
	"crypto/rand"
	"encoding/csv"
	"fmt"
	"os"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Admin is the user of the kubeconfig's current context; nothing is denied to it.
const Admin = "admin"

// The users as whom the parts of the test bed itself act, so that an audit log
// tells their writes from those of the software under test.
const (
	controllerManagerUser = "system:kube-controller-manager"
	schedulerUser         = "system:kube-scheduler"
	// BedUser registers nodes and reports the status of pods.
	BedUser = "weir-testcluster"
)

// mastersGroup may do everything, past RBAC.
const mastersGroup = "system:masters"

// User is somebody whom the API server knows by a bearer token of its own making.
type User struct {
	Name   string
	Groups []string
}

// ParseUser reads "name:group,group"; the groups may be missing.
func ParseUser(text string) (User, error) {
	name, groups := text, ""
	// Kubernetes' own names contain colons ("system:node:a"): the last one counts.
	if i := strings.LastIndexByte(text, ':'); i >= 0 {
		name, groups = text[:i], text[i+1:]
	}
	if name == "" {
		return User{}, fmt.Errorf("reading user %q: the name is empty; write NAME:GROUP,GROUP", text)
	}
	u := User{Name: name}
	for g := range strings.SplitSeq(groups, ",") {
		if g = strings.TrimSpace(g); g != "" {
			u.Groups = append(u.Groups, g)
		}
	}
	return u, nil
}

// directory gives every user a token.
type directory struct {
	users  []User
	tokens map[string]string // by user name
}

func newDirectory(extra []User) (*directory, error) {
	users := append([]User{
		{Name: Admin, Groups: []string{mastersGroup}},
		{Name: BedUser, Groups: []string{mastersGroup}},
		{Name: controllerManagerUser},
		{Name: schedulerUser},
	}, extra...)
	d := &directory{users: users, tokens: map[string]string{}}
	for _, u := range users {
		if _, twice := d.tokens[u.Name]; twice {
			return nil, fmt.Errorf("adding user %q: the name is taken", u.Name)
		}
		d.tokens[u.Name] = rand.Text()
	}
	return d, nil
}

// writeTokens writes the API server's static token file: token, name, uid, groups.
func (d *directory) writeTokens(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("writing the token file: %w", err)
	}
	w := csv.NewWriter(f)
	for _, u := range d.users {
		row := []string{d.tokens[u.Name], u.Name, u.Name, strings.Join(u.Groups, ",")}
		if err := w.Write(row); err != nil {
			break // w.Error says it again below
		}
	}
	w.Flush()
	if err := w.Error(); err != nil {
		return fmt.Errorf("writing the token file: %w", err)
	}
	return f.Close()
}

// WriteKubeconfigFor writes a kubeconfig with one context for each of the
// users, of whom there must be one; the first one's is current.
func (p *Plane) WriteKubeconfigFor(path string, names ...string) error {
	const cluster = "weir-testcluster"
	k := clientcmdapi.NewConfig()
	k.Clusters[cluster] = &clientcmdapi.Cluster{Server: p.url, CertificateAuthorityData: p.ca}
	for _, name := range names {
		k.AuthInfos[name] = &clientcmdapi.AuthInfo{Token: p.users.tokens[name]}
		k.Contexts[name] = &clientcmdapi.Context{Cluster: cluster, AuthInfo: name}
	}
	k.CurrentContext = names[0]
	if err := clientcmd.WriteToFile(*k, path); err != nil {
		return fmt.Errorf("writing kubeconfig %s: %w", path, err)
	}
	return nil
}

// WriteKubeconfig writes a kubeconfig with one context per user, named like
// the user: Admin, which is current, and those of Options.Users.
func (p *Plane) WriteKubeconfig(path string) error {
	names := []string{Admin}
	for _, u := range p.opts.Users {
		names = append(names, u.Name)
	}
	return p.WriteKubeconfigFor(path, names...)
}

// RESTConfig returns a client configuration without rate limits for a known user.
func (p *Plane) RESTConfig(user, agent string) *rest.Config {
	return &rest.Config{
		Host:            p.url,
		BearerToken:     p.users.tokens[user],
		TLSClientConfig: rest.TLSClientConfig{CAData: p.ca},
		UserAgent:       agent,
		QPS:             -1,
	}
}
