package testcluster

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// kwokStages are the files of kwok's module that say how nodes and pods
// behave: nodes are ready and have a lease; pods are ready at once and, if a
// Job's, complete after the time in their annotation
// pod-complete.stage.kwok.x-k8s.io/delay; deleted pods go.
func kwokStages() []string {
	return []string{
		"node/fast/node-initialize",
		"node/heartbeat-with-lease/node-heartbeat-with-lease",
		"pod/fast/pod-ready",
		"pod/general/pod-complete",
		"pod/fast/pod-delete",
	}
}

// kwokProgram says how kwok is built.
func (b *builder) kwokProgram() program {
	return program{
		name:    "kwok",
		what:    "kwok (first time about 2 minutes)",
		dir:     filepath.Join(b.root, "test", "kwok"),
		pkg:     "sigs.k8s.io/kwok/cmd/kwok",
		ldflags: "-s -w",
	}
}

// kwok builds kwok and writes its stages into the folder. It returns the
// flags of weir-testcluster that name both.
func (b *builder) kwok(ctx context.Context, dir string) ([]string, error) {
	p := b.kwokProgram()
	path, err := b.build(ctx, p)
	if err != nil {
		return nil, err
	}
	module, err := goCommand(ctx, p.dir, "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kwok")
	if err != nil {
		return nil, fmt.Errorf("finding kwok's stages: %w", err)
	}
	var all bytes.Buffer
	for _, name := range kwokStages() {
		stage, err := os.ReadFile(filepath.Join(module, "kustomize", "stage", name+".yaml"))
		if err != nil {
			return nil, fmt.Errorf("reading a stage of kwok: %w", err)
		}
		all.WriteString("---\n")
		all.Write(stage)
		all.WriteByte('\n')
	}
	stages := filepath.Join(dir, "kwok-stages.yaml")
	if err := os.WriteFile(stages, all.Bytes(), 0o600); err != nil {
		return nil, fmt.Errorf("writing kwok's stages: %w", err)
	}
	return []string{"--kwok=" + path, "--kwok-stages=" + stages}, nil
}
