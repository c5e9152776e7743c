package cli

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/kube"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// inventory is what the input holds, sorted by what it is for. Objects that
// triggers cannot depend on are left out.
type inventory struct {
	namespace string // of objects that name none
	schemas   definitions

	subjects []*subject // in the order of the input

	secrets    map[kube.Ref]map[string][]byte
	configMaps map[kube.Ref]map[string]string
	auths      map[kube.Ref]*v1alpha1.TriggerAuthenticationSpec
	accounts   map[kube.Ref]*corev1.ServiceAccount
	workloads  map[workload]*corev1.PodSpec // nil for those without a pod template
	hpas       []*autoscalingv2.HorizontalPodAutoscaler
	limits     []corev1.LimitRange
}

// workload identifies what a ScaledObject can scale. Versions of one kind are
// the same.
type workload struct {
	kind            schema.GroupKind
	namespace, name string
}

// String describes the workload for people: `Deployment "ns/name"`.
func (w workload) String() string { return fmt.Sprintf("%s %q", w.kind.Kind, w.namespace+"/"+w.name) }

func newInventory(namespace string) *inventory {
	return &inventory{
		namespace: namespace, schemas: definitions{},
		secrets:    map[kube.Ref]map[string][]byte{},
		configMaps: map[kube.Ref]map[string]string{},
		auths:      map[kube.Ref]*v1alpha1.TriggerAuthenticationSpec{},
		accounts:   map[kube.Ref]*corev1.ServiceAccount{},
		workloads:  map[workload]*corev1.PodSpec{},
	}
}

// add sorts one document in. An error is a bug in the program.
func (inv *inventory) add(d document) error {
	apiVersion, kind := text(d.object, "apiVersion"), text(d.object, "kind")
	s := &subject{
		file: d.file, kind: kind, object: d.object,
		namespace: cmp.Or(text(d.object, "metadata", "namespace"), inv.namespace),
		name:      cmp.Or(text(d.object, "metadata", "name"), text(d.object, "metadata", "generateName")),
	}
	group, _ := schema.ParseGroupVersion(apiVersion) //nolint:errcheck // the first case
	switch {
	case strings.Count(apiVersion, "/") > 1:
		s.add("apiVersion", "has more than one slash")
	case group.Group == v1alpha1.Group, apiVersion == "" && slices.Contains(kinds(), kind):
		inv.subjects = append(inv.subjects, s)
		return inv.ours(s, group)
	default:
		inv.others(s, group.WithKind(kind).GroupKind())
	}
	if len(s.problems) > 0 {
		inv.subjects = append(inv.subjects, s)
	}
	return nil
}

// others sorts an object of Kubernetes or of somebody else in.
func (inv *inventory) others(s *subject, kind schema.GroupKind) {
	switch kind {
	case schema.GroupKind{Kind: kube.KindSecret}:
		inv.secret(s)
	case schema.GroupKind{Kind: kube.KindConfigMap}:
		inv.configMaps[s.ref()], _ = s.texts("data")
	case schema.GroupKind{Kind: kube.KindServiceAccount}:
		inv.accounts[s.ref()] = s.account()
	case schema.GroupKind{Kind: "LimitRange"}:
		inv.limits = append(inv.limits, *read(s, &corev1.LimitRange{}))
	case schema.GroupKind{Group: autoscalingv2.GroupName, Kind: "HorizontalPodAutoscaler"}:
		inv.hpas = append(inv.hpas, read(s, &autoscalingv2.HorizontalPodAutoscaler{}))
	default:
		inv.workloads[workload{kind, s.namespace, s.name}] = podTemplate(s.object, "spec")
	}
}

// kinds are the kinds of keda.sh/v1alpha1.
func kinds() []string {
	return []string{
		v1alpha1.KindScaledObject, v1alpha1.KindScaledJob,
		v1alpha1.KindTriggerAuthentication, v1alpha1.KindClusterTriggerAuthentication,
	}
}

// ours checks an object of keda.sh against its definition and decodes it.
func (inv *inventory) ours(s *subject, group schema.GroupVersion) error {
	if !slices.Contains(kinds(), s.kind) {
		message := "is no kind of " + v1alpha1.GroupVersion.String()
		if near := param.Closest(s.kind, kinds()); near != "" {
			message += fmt.Sprintf("; did you mean %q?", near)
		}
		s.add("kind", "%s", message)
		return nil
	}
	if s.kind == v1alpha1.KindClusterTriggerAuthentication {
		s.namespace = ""
	}
	if group != v1alpha1.GroupVersion {
		s.add("apiVersion", "must be %s", v1alpha1.GroupVersion)
	}
	s.metadata()
	delete(s.object, "status") // the API server drops it, too
	def, err := inv.schemas.of(s.kind)
	if err != nil {
		return err
	}
	problems, warnings := def.check(s.kind, s.object)
	s.problems, s.warnings = append(s.problems, problems...), append(s.warnings, warnings...)
	for _, p := range problems {
		s.refusals = append(s.refusals, p.Field)
	}
	inv.decode(s)
	return nil
}

// decode makes a typed object. One that cannot be decoded has problems already;
// what it would stand for counts as present, so that it is reported once.
func (inv *inventory) decode(s *subject) {
	var into any
	switch s.kind {
	case v1alpha1.KindScaledObject:
		s.scaledObject = &v1alpha1.ScaledObject{}
		into = s.scaledObject
	case v1alpha1.KindScaledJob:
		s.scaledJob = &v1alpha1.ScaledJob{}
		into = s.scaledJob
	case v1alpha1.KindTriggerAuthentication:
		auth := &v1alpha1.TriggerAuthentication{}
		s.authentication, into = &auth.Spec, auth
		inv.auths[s.ref()] = s.authentication
	case v1alpha1.KindClusterTriggerAuthentication:
		auth := &v1alpha1.ClusterTriggerAuthentication{}
		s.authentication, into = &auth.Spec, auth
		inv.auths[s.ref()] = s.authentication
	}
	object := runtime.DeepCopyJSON(s.object)
	quoteMetadata(object)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object, into); err != nil {
		s.undecoded = true
		if len(s.problems) == 0 {
			s.add("", "cannot be decoded: %v", err)
		}
		return
	}
	// What the input leaves to kubectl, and the rules look at.
	if s.scaledObject != nil {
		s.scaledObject.Namespace, s.scaledObject.Name = s.namespace, s.name
	}
	if s.scaledJob != nil {
		s.scaledJob.Namespace, s.scaledJob.Name = s.namespace, s.name
	}
}

// read decodes an object of another API as far as it can: the API server judges it.
func read[T metav1.Object](s *subject, into T) T {
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(s.object, into); err == nil {
		into.SetNamespace(s.namespace)
	}
	return into
}

// quoteMetadata turns the values of trigger metadata that are no strings into
// strings: they have been reported, and the rest is to be checked all the same.
func quoteMetadata(object map[string]any) {
	list, ok, err := unstructured.NestedFieldNoCopy(object, "spec", "triggers")
	items, isList := list.([]any)
	if err != nil || !ok || !isList {
		return
	}
	for _, item := range items {
		trigger, isMap := item.(map[string]any)
		metadata, hasMetadata := trigger["metadata"].(map[string]any)
		if isMap && hasMetadata {
			quote(metadata)
		}
	}
}

// quote makes strings of scalars, as YAML users mean them, and returns the keys
// that were none, sorted.
func quote(values map[string]any) []string {
	var quoted []string
	for _, k := range slices.Sorted(maps.Keys(values)) {
		switch v := values[k].(type) {
		case string:
			continue
		case nil:
			values[k] = ""
		case bool, int64, float64:
			values[k] = fmt.Sprint(v)
		}
		quoted = append(quoted, k)
	}
	return quoted
}

// secret takes a Secret's data, of which stringData wins.
func (inv *inventory) secret(s *subject) {
	data := map[string][]byte{}
	encoded, quoted := s.texts("data")
	for _, k := range slices.Sorted(maps.Keys(encoded)) {
		raw, err := base64.StdEncoding.DecodeString(encoded[k])
		if err != nil && !slices.Contains(quoted, k) {
			s.add("data."+k, "is not in base64; encode it, or move it to stringData")
		}
		data[k] = raw
	}
	plain, _ := s.texts("stringData")
	for k, v := range plain {
		data[k] = []byte(v)
	}
	inv.secrets[s.ref()] = data
}

// texts returns the map of strings at a field of an object, and the keys that it
// had to quote.
func (s *subject) texts(at string) (out map[string]string, quoted []string) {
	values, ok := s.object[at].(map[string]any)
	if !ok && s.object[at] != nil {
		s.add(at, "must be a map of strings")
	}
	quoted = quote(values)
	for _, k := range quoted {
		s.add(at+"."+k, mustBeString)
	}
	out = make(map[string]string, len(values))
	for k, v := range values {
		if v, ok := v.(string); ok {
			out[k] = v
		}
	}
	return out, quoted
}

// podTemplate returns the pod template of a workload at path, or nil.
func podTemplate(object map[string]any, path ...string) *corev1.PodSpec {
	spec, ok, err := unstructured.NestedMap(object, append(path, "template", "spec")...)
	if err != nil || !ok {
		return nil
	}
	var pod corev1.PodSpec
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(spec, &pod); err != nil {
		return nil
	}
	return &pod
}

// text returns the string at a path, or "".
func text(object map[string]any, path ...string) string {
	s, ok, err := unstructured.NestedString(object, path...)
	if err != nil || !ok {
		return ""
	}
	return s
}

// account returns a ServiceAccount with its names and annotations.
func (s *subject) account() *corev1.ServiceAccount {
	a := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: s.name}}
	found, ok, err := unstructured.NestedStringMap(s.object, "metadata", "annotations")
	if err == nil && ok {
		a.Annotations = found
	}
	return a
}
