package main

import (
	"encoding/json"
	"fmt"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
)

// minimal returns the least a user may write for kind, as JSON.
func minimal(kind string) string {
	const head = `{"apiVersion":"keda.sh/v1alpha1","metadata":{"name":"orders"},"kind":"`
	switch kind {
	case "ScaledObject":
		return head + kind + `","spec":{"scaleTargetRef":{"name":"orders"},"triggers":[{"type":"redis","metadata":{}}]}}`
	case "ScaledJob":
		return head + kind + `","spec":{"jobTargetRef":{"template":{"spec":{"containers":[{"name":"worker"}]}}},"triggers":[{"type":"redis","metadata":{}}]}}`
	default:
		return head + kind + `","spec":{}}`
	}
}

// patched returns the minimal object of kind with the JSON merge patch applied.
func patched(t *testing.T, kind, patch string) map[string]any {
	t.Helper()
	raw, err := jsonpatch.MergePatch([]byte(minimal(kind)), []byte(patch))
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, raw)
}

func TestTheAPIServerAcceptsWhatIsRight(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, kind, patch string }{
		{"the least ScaledObject", "ScaledObject", `{}`},
		{"the least ScaledJob", "ScaledJob", `{}`},
		{"a ScaledJob without spec", "ScaledJob", `{"spec":null}`},
		{"the least TriggerAuthentication", "TriggerAuthentication", `{}`},
		{"the least ClusterTriggerAuthentication", "ClusterTriggerAuthentication", `{}`},
		{"the lowest numbers", "ScaledObject", `{"spec":{"pollingInterval":1,"cooldownPeriod":0,"initialCooldownPeriod":0,"idleReplicaCount":0,"minReplicaCount":0,"maxReplicaCount":1}}`},
		{"min equal to max", "ScaledObject", `{"spec":{"minReplicaCount":7,"maxReplicaCount":7}}`},
		{"min equal to the default max", "ScaledObject", `{"spec":{"minReplicaCount":100}}`},
		{"max alone", "ScaledObject", `{"spec":{"maxReplicaCount":1}}`},
		{"an unknown trigger type, which Ready reports", "ScaledObject", `{"spec":{"triggers":[{"type":"telepathy","metadata":{}}]}}`},
		{"any metric type", "ScaledObject", `{"spec":{"triggers":[{"type":"cpu","metadata":{"value":"50"},"metricType":"Utilization"}]}}`},
		{"a minimum above the maximum in a ScaledJob", "ScaledJob", `{"spec":{"minReplicaCount":5,"maxReplicaCount":2}}`},
		{"the widest stabilization window", "ScaledObject", `{"spec":{"advanced":{"horizontalPodAutoscalerConfig":{"behavior":{"scaleUp":{"stabilizationWindowSeconds":3600}}}}}}`},
		{"a tolerance as number", "ScaledObject", `{"spec":{"advanced":{"horizontalPodAutoscalerConfig":{"behavior":{"scaleUp":{"tolerance":1}}}}}}`},
		{"identities of the older AWS kind", "TriggerAuthentication", `{"spec":{"podIdentity":{"provider":"aws-eks"}}}`},
		{"a file path in the cluster-wide kind", "ClusterTriggerAuthentication", `{"spec":{"filePath":"broker.json"}}`},
		{"a vault secret without type", "TriggerAuthentication", `{"spec":{"hashiCorpVault":{"address":"https://v","authentication":"token","secrets":[{"parameter":"p","path":"a","key":"k","type":""}]}}}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			unknown, problems := serve(t, tc.kind).admit(t, patched(t, tc.kind, tc.patch))
			if len(unknown) > 0 || problems != "" {
				t.Errorf("unknown %q, problems:\n%s", unknown, problems)
			}
		})
	}
}

func TestTheAPIServerRefusesWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, kind, patch, want string }{
		{"no spec", "ScaledObject", `{"spec":null}`, `spec: Required value`},
		{"no spec for authentication", "TriggerAuthentication", `{"spec":null}`, `spec: Required value`},
		{"no spec for cluster-wide authentication", "ClusterTriggerAuthentication", `{"spec":null}`, `spec: Required value`},
		{"no target", "ScaledObject", `{"spec":{"scaleTargetRef":null}}`, `spec.scaleTargetRef: Required value`},
		{"no target name", "ScaledObject", `{"spec":{"scaleTargetRef":{"name":null}}}`, `spec.scaleTargetRef.name: Required value`},
		{"an empty target name", "ScaledObject", `{"spec":{"scaleTargetRef":{"name":""}}}`, `spec.scaleTargetRef.name: Invalid value: "": spec.scaleTargetRef.name in body should be at least 1 chars long`},
		{"polling without pause", "ScaledObject", `{"spec":{"pollingInterval":0}}`, `spec.pollingInterval: Invalid value: 0: spec.pollingInterval in body should be greater than or equal to 1`},
		{"polling as text", "ScaledObject", `{"spec":{"pollingInterval":"30"}}`, `spec.pollingInterval: Invalid value: "string": spec.pollingInterval in body must be of type integer: "string"`},
		{"a negative cooldown", "ScaledObject", `{"spec":{"cooldownPeriod":-1}}`, `spec.cooldownPeriod: Invalid value: -1: spec.cooldownPeriod in body should be greater than or equal to 0`},
		{"a negative initial cooldown", "ScaledObject", `{"spec":{"initialCooldownPeriod":-1}}`, `spec.initialCooldownPeriod: Invalid value: -1: spec.initialCooldownPeriod in body should be greater than or equal to 0`},
		{"a negative idle count", "ScaledObject", `{"spec":{"idleReplicaCount":-1}}`, `spec.idleReplicaCount: Invalid value: -1: spec.idleReplicaCount in body should be greater than or equal to 0`},
		{"a negative minimum", "ScaledObject", `{"spec":{"minReplicaCount":-1}}`, `spec.minReplicaCount: Invalid value: -1: spec.minReplicaCount in body should be greater than or equal to 0`},
		{"a maximum of zero", "ScaledObject", `{"spec":{"maxReplicaCount":0}}`, `spec.maxReplicaCount: Invalid value: 0: spec.maxReplicaCount in body should be greater than or equal to 1`},
		{"a minimum above the maximum", "ScaledObject", `{"spec":{"minReplicaCount":5,"maxReplicaCount":4}}`, `spec.minReplicaCount: Invalid value: minReplicaCount must not be greater than maxReplicaCount, which is 100 when unset`},
		{"a minimum above the default maximum", "ScaledObject", `{"spec":{"minReplicaCount":101}}`, `spec.minReplicaCount: Invalid value: minReplicaCount must not be greater than maxReplicaCount, which is 100 when unset`},
		{"no triggers", "ScaledObject", `{"spec":{"triggers":null}}`, `spec.triggers: Required value`},
		{"an empty list of triggers", "ScaledObject", `{"spec":{"triggers":[]}}`, `spec.triggers: Invalid value: 0: spec.triggers in body should have at least 1 items`},
		{"a trigger without type and metadata", "ScaledObject", `{"spec":{"triggers":[{}]}}`, "spec.triggers[0].metadata: Required value\nspec.triggers[0].type: Required value"},
		{"a trigger of empty type", "ScaledObject", `{"spec":{"triggers":[{"type":"","metadata":{}}]}}`, `spec.triggers[0].type: Invalid value: "": spec.triggers[0].type in body should be at least 1 chars long`},
		{"trigger metadata that is no text", "ScaledObject", `{"spec":{"triggers":[{"type":"redis","metadata":{"value":5}}]}}`, `spec.triggers[0].metadata.value: Invalid value: "integer": spec.triggers[0].metadata.value in body must be of type string: "integer"`},
		{"a reference of unknown kind", "ScaledObject", `{"spec":{"triggers":[{"type":"redis","metadata":{},"authenticationRef":{"name":"a","kind":"Secret"}}]}}`, `spec.triggers[0].authenticationRef.kind: Unsupported value: "Secret": supported values: "TriggerAuthentication", "ClusterTriggerAuthentication"`},
		{"a reference without name", "ScaledObject", `{"spec":{"triggers":[{"type":"redis","metadata":{},"authenticationRef":{}}]}}`, `spec.triggers[0].authenticationRef.name: Required value`},
		{"a fallback without numbers", "ScaledObject", `{"spec":{"fallback":{}}}`, "spec.fallback.failureThreshold: Required value\nspec.fallback.replicas: Required value"},
		{"negative fallback numbers", "ScaledObject", `{"spec":{"fallback":{"failureThreshold":-1,"replicas":-1}}}`, "spec.fallback.failureThreshold: Invalid value: -1: spec.fallback.failureThreshold in body should be greater than or equal to 0\nspec.fallback.replicas: Invalid value: -1: spec.fallback.replicas in body should be greater than or equal to 0"},
		{"an unknown fallback behavior", "ScaledObject", `{"spec":{"fallback":{"failureThreshold":1,"replicas":1,"behavior":"hold"}}}`, `spec.fallback.behavior: Unsupported value: "hold": supported values: "static", "currentReplicas", "currentReplicasIfHigher", "currentReplicasIfLower", "scalingModifiers"`},
		{"a formula with Utilization", "ScaledObject", `{"spec":{"advanced":{"scalingModifiers":{"metricType":"Utilization"}}}}`, `spec.advanced.scalingModifiers.metricType: Unsupported value: "Utilization": supported values: "AverageValue", "Value"`},
		{"too wide a stabilization window", "ScaledObject", `{"spec":{"advanced":{"horizontalPodAutoscalerConfig":{"behavior":{"scaleDown":{"stabilizationWindowSeconds":3601}}}}}}`, `spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleDown.stabilizationWindowSeconds: Invalid value: 3601: spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleDown.stabilizationWindowSeconds in body should be less than or equal to 3600`},
		{"two conditions of one type", "ScaledObject", `{"status":{"conditions":[{"type":"Ready","status":"True"},{"type":"Ready","status":"False"}]}}`, `status.conditions[1]: Duplicate value: {"type":"Ready"}`},
		{"a condition of unknown status", "ScaledObject", `{"status":{"conditions":[{"type":"Ready","status":"Maybe"}]}}`, `status.conditions[0].status: Unsupported value: "Maybe": supported values: "True", "False", "Unknown"`},
		{"no Job", "ScaledJob", `{"spec":{"jobTargetRef":null}}`, `spec.jobTargetRef: Required value`},
		{"a Job without template", "ScaledJob", `{"spec":{"jobTargetRef":{"template":null}}}`, `spec.jobTargetRef.template: Required value`},
		{"polling without pause in a ScaledJob", "ScaledJob", `{"spec":{"pollingInterval":0}}`, `spec.pollingInterval: Invalid value: 0: spec.pollingInterval in body should be greater than or equal to 1`},
		{"an unknown rollout", "ScaledJob", `{"spec":{"rolloutStrategy":"default","rollout":{"strategy":"default","propagationPolicy":"orphan"}}}`, "spec.rollout.propagationPolicy: Unsupported value: \"orphan\": supported values: \"foreground\", \"background\"\nspec.rollout.strategy: Unsupported value: \"default\": supported values: \"gradual\", \"immediate\"\nspec.rolloutStrategy: Unsupported value: \"default\": supported values: \"gradual\", \"immediate\""},
		{"an unknown strategy", "ScaledJob", `{"spec":{"scalingStrategy":{"strategy":"lazy"}}}`, `spec.scalingStrategy.strategy: Unsupported value: "lazy": supported values: "default", "custom", "accurate", "eager"`},
		{"an unknown calculation", "ScaledJob", `{"spec":{"scalingStrategy":{"multipleScalersCalculation":"median"}}}`, `spec.scalingStrategy.multipleScalersCalculation: Unsupported value: "median": supported values: "min", "avg", "sum", "max"`},
		{"no container name", "ScaledJob", `{"spec":{"jobTargetRef":{"template":{"spec":{"containers":[{"image":"worker"}]}}}}}`, `spec.jobTargetRef.template.spec.containers[0].name: Required value`},
		{"the identity that is no more", "TriggerAuthentication", `{"spec":{"podIdentity":{"provider":"azure"}}}`, `spec.podIdentity.provider: Unsupported value: "azure": supported values: "azure-workload", "gcp", "aws", "aws-eks", "none"`},
		{"an identity without provider", "TriggerAuthentication", `{"spec":{"podIdentity":{}}}`, `spec.podIdentity.provider: Required value`},
		{"an incomplete secret reference", "TriggerAuthentication", `{"spec":{"secretTargetRef":[{"parameter":"p"}]}}`, "spec.secretTargetRef[0].key: Required value\nspec.secretTargetRef[0].name: Required value"},
		{"a vault without secrets", "TriggerAuthentication", `{"spec":{"hashiCorpVault":{"address":"https://v","authentication":"token","secrets":[]}}}`, `spec.hashiCorpVault.secrets: Invalid value: 0: spec.hashiCorpVault.secrets in body should have at least 1 items`},
		{"an unknown vault engine", "TriggerAuthentication", `{"spec":{"hashiCorpVault":{"address":"https://v","authentication":"token","secrets":[{"parameter":"p","path":"a","key":"k","type":"kv"}]}}}`, `spec.hashiCorpVault.secrets[0].type: Unsupported value: "kv": supported values: "", "secretV2", "secret", "pki"`},
		{"file paths as a list", "ClusterTriggerAuthentication", `{"spec":{"filePath":[{"parameter":"p","path":"a"}]}}`, `spec.filePath: Invalid value: "array": spec.filePath in body must be of type string: "array"`},
		{"another grant", "ClusterTriggerAuthentication", `{"spec":{"oauth2":{"type":"password","clientId":"c","tokenUrl":"https://t"}}}`, `spec.oauth2.type: Unsupported value: "password": supported values: "clientCredentials"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if _, got := serve(t, tc.kind).admit(t, patched(t, tc.kind, tc.patch)); got != tc.want {
				t.Errorf("problems:\n%s\nwant:\n%s", got, tc.want)
			}
		})
	}
}

func TestTheAPIServerFillsInDefaults(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, kind, patch, want string
		path                    []string
	}{
		{"the fallback behavior", "ScaledObject", `{"spec":{"fallback":{"failureThreshold":1,"replicas":1}}}`, `"static"`, []string{"spec", "fallback", "behavior"}},
		{"the grant", "TriggerAuthentication", `{"spec":{"oauth2":{"clientId":"c","tokenUrl":"https://t"}}}`, `"clientCredentials"`, []string{"spec", "oauth2", "type"}},
		{"the protocol of a port", "ScaledJob", `{"spec":{"jobTargetRef":{"template":{"spec":{"containers":[{"name":"worker","ports":[{"containerPort":80}]}]}}}}}`, `[{"name":"worker","ports":[{"containerPort":80,"protocol":"TCP"}]}]`, []string{"spec", "jobTargetRef", "template", "spec", "containers"}},
		{"nothing else", "ScaledObject", `{}`, `{"scaleTargetRef":{"name":"orders"},"triggers":[{"metadata":{},"type":"redis"}]}`, []string{"spec"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			obj := patched(t, tc.kind, tc.patch)
			if _, problems := serve(t, tc.kind).admit(t, obj); problems != "" {
				t.Fatal(problems)
			}
			value, _, err := unstructured.NestedFieldNoCopy(obj, tc.path...)
			if err != nil {
				t.Fatal(err)
			}
			got, err := json.Marshal(value)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != tc.want {
				t.Errorf("%v is %s, want %s", tc.path, got, tc.want)
			}
		})
	}
}

func TestUnknownFieldsAreNamed(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, kind, patch, want string }{
		{"a misspelt field", "ScaledObject", `{"spec":{"minReplicas":1}}`, "spec.minReplicas"},
		{"a metric type in a ScaledJob", "ScaledJob", `{"spec":{"triggers":[{"type":"redis","metadata":{},"metricType":"Value"}]}}`, "spec.triggers[0].metricType"},
		{"a misspelt field of the pod", "ScaledJob", `{"spec":{"jobTargetRef":{"template":{"spec":{"restart":"Never"}}}}}`, "spec.jobTargetRef.template.spec.restart"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			unknown, _ := serve(t, tc.kind).admit(t, patched(t, tc.kind, tc.patch))
			if len(unknown) != 1 || unknown[0] != tc.want {
				t.Errorf("unknown %q, want %q", unknown, tc.want)
			}
		})
	}
}

// A Job may not change where the template for future Jobs may.
func TestTheTemplateOfJobsMayChange(t *testing.T) {
	t.Parallel()
	const claims = `{"spec":{"jobTargetRef":{"scheduling":{"resourceClaims":[{"name":%q}]}}}}`
	s := serve(t, "ScaledJob")
	before, after := patched(t, "ScaledJob", fmt.Sprintf(claims, "a")), patched(t, "ScaledJob", fmt.Sprintf(claims, "b"))
	errs, _ := s.rules.Validate(t.Context(), nil, s.schema, after, before, celconfig.RuntimeCELCostBudget)
	if len(errs) > 0 {
		t.Error(errs.ToAggregate())
	}
}
