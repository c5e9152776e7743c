package archtest

import "slices"

// std in a rule allows no third-party module, only the standard library.
const std = "std"

// rule says what the packages of one name or tree may import.
type rule struct {
	// ours are packages of this module that may be imported directly. A name
	// ending in /... covers the tree below it, and the package itself.
	ours []string
	// never are import paths that must not be reached even through others. One
	// ending in / covers a tree; std stands for everything outside the standard
	// library and this module.
	never []string
}

// rules is the import diagram. A key is a package, a folder's packages ("x/*") or
// a tree ("x/..."); the first of these three that is there counts. A package of
// no rule fails the test: where a new package stands is a decision.
func rules() map[string]rule {
	kubernetes := []string{"k8s.io/", "sigs.k8s.io/"}
	// The clouds' client libraries are most of the binary: only what speaks to a
	// cloud is built with them.
	clouds := []string{"github.com/aws/", "github.com/Azure/", "cloud.google.com/go/", "github.com/hashicorp/vault/"}
	scaler := rule{ours: []string{"pkg/scalers", "pkg/scalers/param", "pkg/scalers/internal/...", "pkg/cloud/..."}, never: kubernetes}
	// with allows a scaler's own tree besides.
	with := func(own string) rule { return rule{ours: append(slices.Clone(scaler.ours), own), never: scaler.never} }
	const api, scalers, param, triggers = "pkg/api/v1alpha1", "pkg/scalers", "pkg/scalers/param", "pkg/triggers"
	return map[string]rule{
		// The vocabulary.
		api:              {never: []string{"sigs.k8s.io/controller-runtime/pkg/client"}},
		param:            {never: []string{std}},
		scalers:          {ours: []string{param}, never: []string{std}},
		"pkg/decide":     {ours: []string{"pkg/formula"}, never: slices.Concat(kubernetes, []string{"net", "net/http", "os/exec"})},
		"pkg/decide/...": {ours: []string{"pkg/decide"}, never: slices.Concat(kubernetes, []string{"net", "net/http", "os/exec"})},
		"pkg/hpa":        {never: []string{std, "net", "net/http", "os/exec"}},
		"pkg/scalers/*":  scaler,
		scalers + "/all": {ours: []string{"pkg/scalers/..."}, never: kubernetes},
		triggers:         {ours: []string{api, scalers, param, "pkg/formula"}},
		"pkg/formula":    {never: kubernetes},
		"pkg/snapshot":   {never: []string{std}},
		"deploy/...":     {},
		"examples/...":   {},
		"docs/...":       {},

		// Code generated from protocol definitions, and its users.
		"pkg/scalers/external":   with("pkg/scalers/external/..."),
		"pkg/scalers/external/*": {never: kubernetes},
		"pkg/scalers/liiklus":    with("pkg/scalers/liiklus/..."),
		"pkg/scalers/liiklus/*":  {never: kubernetes},

		// What scalers share, and what their authors test with.
		"pkg/cloud/*":            {ours: []string{scalers, param}, never: kubernetes},
		"pkg/scalers/internal/*": scaler,
		"pkg/scalers/scalertest": {ours: []string{scalers, param}, never: kubernetes},

		// The mechanisms.
		"pkg/engine":           {ours: []string{scalers, param}, never: slices.Concat(kubernetes, clouds)},
		"pkg/kube":             {ours: []string{api, param, "pkg/kube/..."}, never: clouds},
		"pkg/kube/...":         {ours: []string{api, param, "pkg/kube/..."}, never: clouds},
		"pkg/kube/secretstore": {ours: []string{api, scalers, param}, never: clouds},
		// Secrets of other systems: one package a system.
		"pkg/kube/secretstore/*": {ours: []string{api, scalers, param, "pkg/kube/secretstore", "pkg/cloud/..."}},
		"pkg/simulate":           {ours: []string{api, "pkg/decide", "pkg/hpa"}},
		"pkg/metricsapi":         {ours: []string{scalers}, never: clouds},

		// People and Kubernetes.
		"pkg/controller/...": {ours: []string{api, "pkg/kube/...", "pkg/engine", "pkg/decide/...", "pkg/formula", "pkg/snapshot", scalers, param, triggers, "pkg/controller/..."}, never: clouds},
		"pkg/webhook/...":    {ours: []string{api, scalers, param, triggers}},
		"pkg/telemetry":      {ours: []string{"pkg/snapshot"}, never: slices.Concat(clouds, []string{"sigs.k8s.io/controller-runtime/pkg/client"})},
		"pkg/explain":        {ours: []string{api, "pkg/snapshot", "pkg/hpa", "pkg/decide"}, never: clouds},
		"pkg/web/...":        {},
		"pkg/cli":            {ours: []string{api, "pkg/kube/...", scalers, param, triggers, "pkg/decide", "pkg/hpa", "pkg/simulate", "deploy/crds"}, never: clouds},

		// Programs, and what only programs and tests use.
		"cmd/...":            {ours: []string{"pkg/...", "internal/...", "deploy/..."}},
		"internal/...":       {ours: []string{"pkg/...", "internal/...", "deploy/..."}},
		"test/fakes/*":       {never: kubernetes},
		"test/fakes/liiklus": {ours: []string{"pkg/scalers/liiklus/liikluspb"}, never: kubernetes},
	}
}
