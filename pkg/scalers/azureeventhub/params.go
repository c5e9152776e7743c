package azureeventhub

import (
	"math"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"

	"github.com/weir-sh/weir/pkg/cloud/azureauth"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/internal/azstorage"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// settings are a namespace and the account with its checkpoints. The hub is not
// among them, so that the hubs of a namespace share a source.
type settings struct {
	host       string       // of the namespace; with a connection string only where that can be used
	connection param.Secret // without an EntityPath; zero means the identity
	identity   azureauth.Identity
	provider   string // of an identity that cannot be used; empty otherwise
	storage    azstorage.Settings
}

// query is a consumer group of a hub, and how its progress is counted.
type query struct {
	hub, group string
	container  string
	layout     layout
	tolerance  int64 // >= 0; see unprocessed
	threshold  int64 // > 0; the cap depends on it
}

// input is what the settings and the hub are decided from.
type input struct {
	connection, storage         param.Secret
	namespace, account          string
	cloud, suffix, storageAfter string
}

// bind declares where to connect. The hub's name is bound here too: it
// may be part of the connection string.
func (s *settings) bind(p *param.Set) {
	var in input
	secret := param.From(param.Auth, param.Env)
	p.Secret(&in.connection, "connection", "Connection string of the namespace or the hub. Not needed with the identity azure-workload.", secret)
	p.Secret(&in.storage, "storageConnection", "Connection string of the storage account with the checkpoints. Not needed with the identity azure-workload.", secret)
	p.String(&in.namespace, "eventHubNamespace", "Name of the namespace, without its domain. Used with the identity azure-workload alone.", param.From(param.Metadata, param.Env))
	p.String(&in.account, "storageAccountName", "Name of the storage account with the checkpoints. Used with the identity azure-workload alone.")
	azureauth.BindCloud(&in.cloud, p)
	p.String(&in.suffix, "endpointSuffix", "What hosts of namespaces end in, such as `servicebus.example`. Used when `cloud` is Private.")
	p.String(&in.storageAfter, "storageEndpointSuffix", "What hosts of storage accounts end in after `blob.`, such as `storage.example`. Used when `cloud` is Private.")
	p.Check(func() error { return s.complete(p, in) },
		"connection", "storageConnection", "eventHubNamespace", "storageAccountName", "cloud", "endpointSuffix", "storageEndpointSuffix")
}

// complete decides between connection strings and identity.
func (s *settings) complete(p *param.Set, in input) error {
	host, err := azureauth.Suffix(in.cloud, in.suffix, "endpointSuffix", func(c azureauth.Cloud) string { return c.ServiceBus })
	if err != nil {
		return err
	}
	switch v := p.Values(); v.Identity.Provider {
	case azureauth.Workload:
		return s.byIdentity(p, in, host)
	case "", "none":
		return s.byConnection(p, in)
	default:
		s.provider = v.Identity.Provider
		p.Warn("", "the pod identity must be %s, or none; with this one nothing can be measured", azureauth.Workload)
		return nil
	}
}

// byConnection uses connection strings.
func (s *settings) byConnection(p *param.Set, in input) error {
	if in.storage.IsZero() {
		return param.Wrong("storageConnection", "is required without an identity; give the connection string of the storage account")
	}
	if in.connection.IsZero() {
		return param.Wrong("connection", "is required without an identity; give the connection string of the namespace or the hub")
	}
	s.connection, s.storage.Connection = withoutEntity(in.connection), in.storage
	azstorage.CheckConnection(p, "storageConnection", in.storage, azstorage.Blob)
	parsed, ok := parseConnection(s.connection)
	if !ok {
		p.Warn("connection", "cannot be used: it needs Endpoint, SharedAccessKeyName and SharedAccessKey, or Endpoint and SharedAccessSignature")
	}
	s.host = parsed.FullyQualifiedNamespace
	return nil
}

// parseConnection parses a connection string. What the SDK says of one that it
// refuses may quote it, and is not told.
func parseConnection(connection param.Secret) (azeventhubs.ConnectionStringProperties, bool) {
	parsed, err := azeventhubs.ParseConnectionString(connection.Reveal())
	return parsed, err == nil
}

// byIdentity uses the process's identity for namespace and storage.
func (s *settings) byIdentity(p *param.Set, in input, suffix string) error {
	switch {
	case in.namespace == "":
		return param.Wrong("eventHubNamespace", "is required with the identity %s", azureauth.Workload)
	case in.account == "" && in.storage.IsZero():
		return param.Wrong("storageAccountName", "is required with the identity %s", azureauth.Workload)
	}
	v := p.Values()
	s.host, s.identity = in.namespace+"."+suffix, azureauth.OfWorkload(v)
	if !in.connection.IsZero() {
		p.Warn("connection", "is ignored with the identity %s", azureauth.Workload)
	}
	if in.account == "" {
		s.storage.Connection = in.storage
		azstorage.CheckConnection(p, "storageConnection", in.storage, azstorage.Blob)
		return nil
	}
	if !in.storage.IsZero() {
		p.Warn("storageConnection", "is ignored, since there is %q", "storageAccountName")
	}
	after, err := azureauth.Suffix(in.cloud, in.storageAfter, "storageEndpointSuffix", func(c azureauth.Cloud) string { return c.Storage })
	s.storage.Host, s.storage.Identity = in.account+".blob."+after, s.identity
	return err
}

const entityPath = "EntityPath"

// withoutEntity drops the hub from a connection string, so that those of a
// namespace are equal.
func withoutEntity(connection param.Secret) param.Secret {
	var kept []string
	for part := range strings.SplitSeq(connection.Reveal(), ";") {
		if key, _, _ := strings.Cut(part, "="); part != "" && !strings.EqualFold(key, entityPath) {
			kept = append(kept, part)
		}
	}
	return param.NewSecret(strings.Join(kept, ";"))
}

// entityOf returns the hub of a connection string, or "".
func entityOf(connection string) string {
	hub := ""
	for part := range strings.SplitSeq(connection, ";") {
		if key, value, _ := strings.Cut(part, "="); strings.EqualFold(key, entityPath) {
			hub = value
		}
	}
	return hub
}

// namespaceOf is how checkpoints name the namespace: the endpoint of the
// connection string without its scheme, else the host.
func (s settings) namespaceOf() string {
	for part := range strings.SplitSeq(s.connection.Reveal(), ";") {
		if key, value, _ := strings.Cut(part, "="); strings.EqualFold(key, "Endpoint") {
			return strings.TrimSuffix(strings.TrimPrefix(value, "sb://"), "/")
		}
	}
	return s.host
}

// bind declares what to measure.
func (q *query) bind(p *param.Set) {
	q.group = "$Default"
	tolerance, strategy := int64(10000), ""
	p.String(&q.hub, "eventHubName", "Event hub to measure. Needed unless the connection string has an `EntityPath`, which comes first.", param.From(param.Metadata, param.Env))
	p.String(&q.group, "consumerGroup", "Consumer group whose progress is measured.")
	p.String(&q.container, "blobContainer", "Storage container with the checkpoints. Ignored with `azureFunction`.")
	p.String(&strategy, "checkpointStrategy", "How the consumers keep their checkpoints: `azureFunction`, `blobMetadata`, `goSdk` or `dapr`. "+
		"When empty: `azureFunction` without a `blobContainer`, and the layout of older SDKs with one.")
	p.Int(&tolerance, math.MinInt64, math.MaxInt64, "stalePartitionInfoThreshold",
		"How far a checkpoint may be ahead of what the hub says of its partition, before that is taken for a sequence number that wrapped around.")
	p.Check(func() error {
		q.tolerance = max(0, tolerance)
		if tolerance < 0 {
			p.Warn("stalePartitionInfoThreshold", "is negative; 0 is used")
		}
		return nil
	}, "stalePartitionInfoThreshold")
	p.Check(func() error {
		q.lay(p, strategy)
		return nil
	}, "checkpointStrategy", "blobContainer")
	p.Check(func() error { return q.findHub(p) }, "eventHubName", "connection")
}

// lay decides where the checkpoints are.
func (q *query) lay(p *param.Set, strategy string) {
	switch q.layout = layout(strategy); q.layout {
	case azureFunction, blobMetadata, goSDK, dapr, plainJSON:
	default:
		p.Warn("checkpointStrategy", "is none of azureFunction, blobMetadata, goSdk, dapr; it is taken for empty")
		q.layout = plainJSON
	}
	switch {
	case q.layout == plainJSON && q.container == "":
		q.layout = azureFunction
	case q.layout == azureFunction && q.container != "" && q.container != functionsContainer:
		p.Warn("blobContainer", "is ignored: Azure Functions keep checkpoints in %s", functionsContainer)
	case q.container == "":
		p.Warn("blobContainer", "is needed with this checkpointStrategy; nothing can be measured without it")
	}
	if q.layout == azureFunction {
		q.container = functionsContainer
	}
}

// findHub takes the hub from the connection string when it has one.
func (q *query) findHub(p *param.Set) error {
	v := p.Values()
	switch v.Identity.Provider {
	case azureauth.Workload:
		if q.hub == "" {
			return param.Wrong("eventHubName", "is required with the identity %s", azureauth.Workload)
		}
		return nil
	case "", "none":
	default:
		return nil
	}
	hub := entityOf(connectionIn(v))
	switch {
	case hub != "":
		if q.hub != "" && q.hub != hub {
			p.Warn("eventHubName", "is ignored: the connection string has another %s", entityPath)
		}
		q.hub = hub
	case q.hub == "" && p.Given("connection"):
		return param.Wrong("eventHubName", "is required, or an %s in the connection string", entityPath)
	}
	return nil
}

// thresholds binds the target, which the cap depends on, and the activation.
func (q *query) thresholds(th *scalers.Thresholds, p *param.Set) {
	q.threshold = 64
	p.Int(&q.threshold, 1, math.MaxInt64, "unprocessedEventThreshold", "How many events one replica should carry.")
	p.Check(func() error {
		th.Target = float64(q.threshold)
		return nil
	}, "unprocessedEventThreshold")
	scalers.WholeTarget(&th.Activation, "activationUnprocessedEventThreshold",
		"How many events are not yet work: the workload wakes from zero above this. All events count here, without the cap.", p)
}

// connectionIn returns the connection string from where the settings read it.
func connectionIn(v param.Values) string {
	if s := strings.TrimSpace(v.Auth["connection"]); s != "" {
		return s
	}
	return strings.TrimSpace(v.Env[strings.TrimSpace(v.Metadata["connectionFromEnv"])])
}
