// Package crds holds the CustomResourceDefinitions of keda.sh/v1alpha1 as they
// are installed, so that programs can check objects against them offline.
package crds

import "embed"

// Files are the definitions, one per file, named keda.sh_<plural>.yaml.
//
//go:embed keda.sh_*.yaml
var Files embed.FS
