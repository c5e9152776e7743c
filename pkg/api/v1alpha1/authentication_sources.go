package v1alpha1

// TargetRef takes one parameter from a key of a Secret or ConfigMap.
type TargetRef struct {
	// Name of the trigger's authentication parameter.
	Parameter string `json:"parameter"`

	// Name of the Secret or ConfigMap.
	Name string `json:"name"`

	// Key within it.
	Key string `json:"key"`
}

// EnvRef takes one parameter from an environment variable of the workload.
type EnvRef struct {
	// Name of the trigger's authentication parameter.
	Parameter string `json:"parameter"`

	// Name of the environment variable.
	Name string `json:"name"`

	// Container that has the variable; the first of the pod template when unset.
	// +optional
	ContainerName string `json:"containerName,omitempty"`
}

// SecretKeyRef names a key of a Secret.
type SecretKeyRef struct {
	// Name of the Secret.
	Name string `json:"name"`

	// Key within it.
	Key string `json:"key"`
}

// ValueFromSecret takes a value from a key of a Secret.
type ValueFromSecret struct {
	// Where the value is.
	ValueFrom SecretValueSource `json:"valueFrom"`
}

// SecretValueSource says where a secret value is.
type SecretValueSource struct {
	// Key of a Secret that holds the value.
	SecretKeyRef SecretKeyRef `json:"secretKeyRef"`
}

// HashiCorpVault takes parameters from a HashiCorp Vault server.
type HashiCorpVault struct {
	// URL of the server.
	Address string `json:"address"`

	// How to log in: with a token, or with a service account through Vault's
	// kubernetes method, which needs mount and role.
	// +kubebuilder:validation:Enum=token;kubernetes
	Authentication VaultAuthentication `json:"authentication"`

	// Vault Enterprise namespace.
	// +optional
	Namespace string `json:"namespace,omitempty"`

	// Role to log in with.
	// +optional
	Role string `json:"role,omitempty"`

	// Path at which the kubernetes method is mounted.
	// +optional
	Mount string `json:"mount,omitempty"`

	// What to log in with.
	// +optional
	Credential *VaultCredential `json:"credential,omitempty"`

	// What to read.
	// +kubebuilder:validation:MinItems=1
	// +listType=atomic
	Secrets []VaultSecret `json:"secrets"`
}

// VaultAuthentication is a way to log in to Vault.
type VaultAuthentication string

const (
	// VaultAuthenticationToken presents a token.
	VaultAuthenticationToken VaultAuthentication = "token"
	// VaultAuthenticationKubernetes presents the token of a service account.
	VaultAuthenticationKubernetes VaultAuthentication = "kubernetes"
)

// VaultCredential is what to log in to Vault with.
type VaultCredential struct {
	// Token, for the authentication "token". Whoever can read this object can
	// read it.
	// +optional
	Token string `json:"token,omitempty"`

	// Path of a service account token file in the controller's container; that of
	// the controller's own service account when unset.
	// +optional
	ServiceAccount string `json:"serviceAccount,omitempty"`

	// Service account, in the namespace of the object with the trigger, to
	// request a token for. Wins over serviceAccount.
	// +optional
	ServiceAccountName string `json:"serviceAccountName,omitempty"`
}

// VaultSecret takes one parameter from a Vault secret.
type VaultSecret struct {
	// Name of the trigger's authentication parameter.
	Parameter string `json:"parameter"`

	// Path of the secret.
	Path string `json:"path"`

	// Field within the secret.
	Key string `json:"key"`

	// Engine the secret is in: secret (key/value version 1), secretV2 (version 2)
	// or pki, which issues a certificate. When unset, version 1 or 2 is told by
	// the answer.
	// +kubebuilder:validation:Enum="";secretV2;secret;pki
	// +optional
	Type VaultSecretType `json:"type,omitempty"`

	// Certificate to issue, for the type pki.
	// +optional
	PKIData VaultPKIData `json:"pkiData,omitzero"`
}

// VaultSecretType is a Vault secrets engine.
type VaultSecretType string

const (
	// VaultSecretTypeAny tells key/value version 1 from 2 by the answer.
	VaultSecretTypeAny VaultSecretType = ""
	// VaultSecretTypeV1 is key/value version 1.
	VaultSecretTypeV1 VaultSecretType = "secret"
	// VaultSecretTypeV2 is key/value version 2.
	VaultSecretTypeV2 VaultSecretType = "secretV2"
	// VaultSecretTypePKI issues a certificate.
	VaultSecretTypePKI VaultSecretType = "pki"
)

// VaultPKIData describes a certificate for Vault to issue. Each field is passed
// on as it is; Vault's documentation of the pki engine says what they may hold.
type VaultPKIData struct {
	// Common name.
	// +optional
	CommonName string `json:"commonName,omitempty"`

	// Alternative names, joined with commas.
	// +optional
	AltNames string `json:"altNames,omitempty"`

	// IP addresses, joined with commas.
	// +optional
	IPSans string `json:"ipSans,omitempty"`

	// URIs, joined with commas.
	// +optional
	URISans string `json:"uriSans,omitempty"`

	// Other names, as "oid;type:value" joined with commas.
	// +optional
	OtherSans string `json:"otherSans,omitempty"`

	// How long the certificate is valid, such as "24h".
	// +optional
	TTL string `json:"ttl,omitempty"`

	// Encoding of the certificate, such as "pem".
	// +optional
	Format string `json:"format,omitempty"`
}

// AzureKeyVault takes parameters from an Azure Key Vault.
type AzureKeyVault struct {
	// URL of the vault.
	VaultURI string `json:"vaultUri"`

	// Application to log in as; podIdentity is the alternative.
	// +optional
	Credentials *AzureKeyVaultCredentials `json:"credentials,omitempty"`

	// Cloud identity to log in with.
	// +optional
	PodIdentity *PodIdentity `json:"podIdentity,omitempty"`

	// Azure cloud the vault is in; the public one when unset.
	// +optional
	Cloud *AzureKeyVaultCloud `json:"cloud,omitempty"`

	// What to read.
	// +kubebuilder:validation:MinItems=1
	// +listType=atomic
	Secrets []AzureKeyVaultSecret `json:"secrets"`
}

// AzureKeyVaultCredentials is an application registered with Microsoft Entra.
type AzureKeyVaultCredentials struct {
	// Client ID of the application.
	ClientID string `json:"clientId"`

	// Tenant the application is registered in.
	TenantID string `json:"tenantId"`

	// Secret of the application.
	ClientSecret ValueFromSecret `json:"clientSecret"`
}

// AzureKeyVaultCloud is an Azure cloud.
type AzureKeyVaultCloud struct {
	// Name of the cloud, or Private for one described by the other fields.
	Type string `json:"type"`

	// Resource URL of Key Vault in that cloud.
	// +optional
	KeyVaultResourceURL string `json:"keyVaultResourceURL,omitempty"`

	// URL of the authority in that cloud.
	// +optional
	ActiveDirectoryEndpoint string `json:"activeDirectoryEndpoint,omitempty"`
}

// AzureKeyVaultSecret takes one parameter from a secret in the vault.
type AzureKeyVaultSecret struct {
	// Name of the trigger's authentication parameter.
	Parameter string `json:"parameter"`

	// Name of the secret.
	Name string `json:"name"`

	// Version of the secret; the newest when unset.
	// +optional
	Version string `json:"version,omitempty"`
}

// GCPSecretManager takes parameters from Google Cloud Secret Manager.
type GCPSecretManager struct {
	// Service account key to log in with; podIdentity is the alternative.
	// +optional
	Credentials *GCPCredentials `json:"credentials,omitempty"`

	// Cloud identity to log in with.
	// +optional
	PodIdentity *PodIdentity `json:"podIdentity,omitempty"`

	// What to read.
	// +kubebuilder:validation:MinItems=1
	// +listType=atomic
	Secrets []GCPSecret `json:"secrets"`
}

// GCPCredentials is the key of a Google Cloud service account.
type GCPCredentials struct {
	// Key of the service account, as the JSON file Google Cloud issues.
	ClientSecret ValueFromSecret `json:"clientSecret"`
}

// GCPSecret takes one parameter from a secret of the project.
type GCPSecret struct {
	// Name of the trigger's authentication parameter.
	Parameter string `json:"parameter"`

	// Name of the secret.
	ID string `json:"id"`

	// Version of the secret; latest when unset.
	// +optional
	Version string `json:"version,omitempty"`
}

// AWSSecretManager takes parameters from AWS Secrets Manager.
type AWSSecretManager struct {
	// Access key to log in with; podIdentity is the alternative.
	// +optional
	Credentials *AWSCredentials `json:"credentials,omitempty"`

	// Cloud identity to log in with.
	// +optional
	PodIdentity *PodIdentity `json:"podIdentity,omitempty"`

	// Region of the secrets; that of the controller when unset.
	// +optional
	Region string `json:"region,omitempty"`

	// What to read.
	// +kubebuilder:validation:MinItems=1
	// +listType=atomic
	Secrets []AWSSecret `json:"secrets"`
}

// AWSCredentials is an access key of AWS.
type AWSCredentials struct {
	// ID of the access key.
	AccessKey ValueFromSecret `json:"accessKey"`

	// Secret part of the access key.
	AccessSecretKey ValueFromSecret `json:"accessSecretKey"`

	// Token that belongs to the access key, when the key is a temporary one.
	// +optional
	AccessToken *ValueFromSecret `json:"accessToken,omitempty"`
}

// AWSSecret takes one parameter from a secret of the account.
type AWSSecret struct {
	// Name of the trigger's authentication parameter.
	Parameter string `json:"parameter"`

	// Name or ARN of the secret.
	Name string `json:"name"`

	// Version of the secret by ID.
	// +optional
	VersionID string `json:"versionId,omitempty"`

	// Version of the secret by staging label; AWSCURRENT when neither is set.
	// +optional
	VersionStage string `json:"versionStage,omitempty"`

	// Field to take when the secret is a JSON object; the whole secret when unset.
	// +optional
	SecretKey string `json:"secretKey,omitempty"`
}

// BoundServiceAccountToken takes one parameter from a token requested for a
// service account.
type BoundServiceAccountToken struct {
	// Name of the trigger's authentication parameter.
	Parameter string `json:"parameter"`

	// Service account to request the token for. The controller needs permission
	// to create tokens for it.
	ServiceAccountName string `json:"serviceAccountName"`
}

// OAuth2 is a client of an OAuth 2.0 authorisation server.
type OAuth2 struct {
	// Grant to use.
	// +kubebuilder:validation:Enum=clientCredentials
	// +kubebuilder:default=clientCredentials
	Type OAuth2GrantType `json:"type"`

	// ID of the client.
	ClientID string `json:"clientId"`

	// Secret of the client.
	// +optional
	ClientSecret *ValueFromSecret `json:"clientSecret,omitempty"`

	// URL at which tokens are issued; absolute, http or https.
	TokenURL string `json:"tokenUrl"`

	// Scopes to ask for.
	// +listType=atomic
	// +optional
	Scopes []string `json:"scopes,omitempty"`

	// Further parameters of the token request.
	// +optional
	TokenURLParams map[string]string `json:"tokenUrlParams,omitempty"`
}

// OAuth2GrantType is a grant of OAuth 2.0.
type OAuth2GrantType string

// OAuth2ClientCredentials is the client credentials grant, the only one there is.
const OAuth2ClientCredentials OAuth2GrantType = "clientCredentials"
