package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/weir-sh/weir/test/cluster/internal/controlplane"
)

// config is the parsed command line.
type config struct {
	plane          controlplane.Options
	dir            string
	kubeconfig     string
	readyFile      string
	exitWithParent bool
	hostNodes      int
	kwokNodes      int
	kwokProgram    string
	kwokStages     string
	path           string // the PATH of pods
}

func parseFlags(args []string) (*config, error) {
	c := &config{}
	var users []string
	fs := pflag.NewFlagSet("weir-testcluster", pflag.ContinueOnError)
	fs.SortFlags = false
	fs.StringVar(&c.dir, "dir", "", "folder for data, keys and logs (default a temporary one, removed at the end)")
	fs.StringVar(&c.kubeconfig, "kubeconfig", "", "where to write the kubeconfig (default DIR/kubeconfig)")
	fs.StringVar(&c.readyFile, "ready-file", "", "file to create, with the kubeconfig's path in it, when the cluster is ready")
	fs.BoolVar(&c.exitWithParent, "exit-with-parent", false, "end when standard input ends")
	fs.IntVar(&c.hostNodes, "host-nodes", 1, "nodes whose pods are processes of this machine; label weir.sh/node=host")
	fs.IntVar(&c.kwokNodes, "kwok-nodes", 0, "nodes played by kwok; label and taint weir.sh/node=kwok")
	fs.StringVar(&c.kwokProgram, "kwok", "kwok", "the program kwok")
	fs.StringVar(&c.kwokStages, "kwok-stages", "", "file of kwok's Stage objects, needed with --kwok-nodes")
	fs.StringArrayVar(&users, "token", nil, "further user as NAME:GROUP,GROUP, who gets a context of that name in the kubeconfig (repeatable)")
	fs.StringVar(&c.plane.AuditLog, "audit-log", "", "file in which each write to the API is logged, as JSON lines")
	fs.DurationVar(&c.plane.HPASyncPeriod, "hpa-sync-period", 15*time.Second, "how often the HPA controller looks at each HPA")
	fs.DurationVar(&c.plane.HPADownscaleStabilization, "hpa-downscale-stabilization", 5*time.Minute, "default window of HPAs for scaling down")
	fs.Float32Var(&c.plane.QPS, "kube-api-qps", 1000, "requests per second of each controller; 20 in real clusters")
	fs.IntVar(&c.plane.Burst, "kube-api-burst", 2000, "burst of each controller; 30 in real clusters")
	fs.StringArrayVar(&c.plane.APIServerArgs, "apiserver-arg", nil, "further flag of kube-apiserver (repeatable)")
	fs.StringArrayVar(&c.plane.ControllerManagerArgs, "controller-manager-arg", nil, "further flag of kube-controller-manager (repeatable)")
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("reading the command line: unexpected argument %q", fs.Arg(0))
	}
	for _, text := range users {
		u, err := controlplane.ParseUser(text)
		if err != nil {
			return nil, fmt.Errorf("reading --token: %w", err)
		}
		c.plane.Users = append(c.plane.Users, u)
	}
	return c, c.validate()
}

// validate returns all that is wrong at once.
func (c *config) validate() error {
	var problems []error
	check := func(ok bool, text string) {
		if !ok {
			problems = append(problems, errors.New(text))
		}
	}
	check(c.hostNodes >= 0, "--host-nodes is negative")
	check(c.kwokNodes >= 0, "--kwok-nodes is negative")
	check(c.kwokNodes == 0 || c.kwokStages != "", "--kwok-nodes needs --kwok-stages")
	check(c.plane.HPASyncPeriod > 0, "--hpa-sync-period must be above zero")
	check(c.plane.HPADownscaleStabilization >= 0, "--hpa-downscale-stabilization is negative")
	check(c.plane.QPS > 0, "--kube-api-qps must be above zero")
	check(c.plane.Burst > 0, "--kube-api-burst must be above zero")
	return errors.Join(problems...)
}
