package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

type schema = apiextensionsv1.JSONSchemaProps

// finish returns the manifest of one CustomResourceDefinition as users install
// it, given the one controller-gen wrote, or its own output.
func finish(raw []byte) ([]byte, error) {
	var crd apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(raw, &crd); err != nil {
		return nil, fmt.Errorf("reading the definition: %w", err)
	}
	for i := range crd.Spec.Versions {
		v := &crd.Spec.Versions[i]
		if v.Schema == nil || v.Schema.OpenAPIV3Schema == nil {
			return nil, fmt.Errorf("version %s has no schema; run controller-gen first", v.Name)
		}
		root := v.Schema.OpenAPIV3Schema
		walk("", root, boundWindow)
		if crd.Spec.Names.Kind == "ScaledJob" {
			if err := finishScaledJob(root); err != nil {
				return nil, err
			}
		}
	}
	return manifest(&crd)
}

// finishScaledJob fits the schema of a Job, and the trigger it shares with
// ScaledObject, to a ScaledJob.
func finishScaledJob(root *schema) error {
	return errors.Join(
		edit(root, func(job *schema) error {
			walk("", job, dropTransitionRules)
			walk("", job, keepMetadata)
			return edit(job, stripBelow, "template")
		}, "spec", "jobTargetRef"),
		// The number of Jobs follows from a sum, so there is no choice of how a
		// target compares.
		edit(root, func(triggers *schema) error {
			walk("", triggers, func(_ string, s *schema) { delete(s.Properties, "metricType") })
			return nil
		}, "spec", "triggers"),
	)
}

// stripBelow removes the descriptions of everything below s.
func stripBelow(s *schema) error {
	own := s.Description
	walk("", s, func(_ string, s *schema) { s.Description = "" })
	s.Description = own
	return nil
}

// boundWindow gives stabilizationWindowSeconds the bounds that Kubernetes
// enforces on a HorizontalPodAutoscaler, so that a value it would refuse is
// refused in the ScaledObject already.
func boundWindow(name string, s *schema) {
	if name == "stabilizationWindowSeconds" {
		s.Minimum, s.Maximum = new(0.0), new(3600.0)
	}
}

// dropTransitionRules removes rules that compare with the earlier object: a Job
// may not change where the template for future Jobs may.
func dropTransitionRules(_ string, s *schema) {
	s.XValidations = slices.DeleteFunc(s.XValidations, func(r apiextensionsv1.ValidationRule) bool {
		return strings.Contains(r.Rule, "oldSelf")
	})
}

// keepMetadata lets labels and annotations pass where controller-gen declares
// metadata without any field, which would have them pruned.
func keepMetadata(name string, s *schema) {
	if name == "metadata" && s.Type == "object" && len(s.Properties) == 0 {
		s.XPreserveUnknownFields = new(true)
	}
}

// walk calls visit for s, which has the given name, and everything below it.
// Items and values of maps have no name.
func walk(name string, s *schema, visit func(name string, s *schema)) {
	visit(name, s)
	for name, p := range s.Properties {
		walk(name, &p, visit)
		s.Properties[name] = p
	}
	if s.Items != nil && s.Items.Schema != nil {
		walk("", s.Items.Schema, visit)
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil {
		walk("", s.AdditionalProperties.Schema, visit)
	}
}

// edit calls change for the property at path below s. A missing property is an
// error: the Go types and this program no longer fit together.
func edit(s *schema, change func(*schema) error, path ...string) error {
	if len(path) == 0 {
		return change(s)
	}
	p, ok := s.Properties[path[0]]
	if !ok {
		return fmt.Errorf("no property %q among %q; adapt this program to the Go types", path[0], slices.Sorted(maps.Keys(s.Properties)))
	}
	err := edit(&p, change, path[1:]...)
	s.Properties[path[0]] = p
	return err
}

// manifest prints crd without the status, which is the API server's to write.
func manifest(crd *apiextensionsv1.CustomResourceDefinition) ([]byte, error) {
	data, err := json.Marshal(crd)
	if err != nil {
		return nil, fmt.Errorf("encoding the definition: %w", err)
	}
	var tree map[string]any
	if err := json.Unmarshal(data, &tree); err != nil {
		return nil, fmt.Errorf("encoding the definition: %w", err)
	}
	delete(tree, "status")
	return encode(tree)
}
