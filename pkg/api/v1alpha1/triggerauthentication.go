package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TriggerAuthentication supplies credentials to the triggers, in its own
// namespace, that refer to it.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=triggerauthentications,scope=Namespaced,shortName=ta;triggerauth
// +kubebuilder:printcolumn:name="PodIdentity",type="string",JSONPath=".spec.podIdentity.provider"
// +kubebuilder:printcolumn:name="Secret",type="string",JSONPath=".spec.secretTargetRef[*].name"
// +kubebuilder:printcolumn:name="Env",type="string",JSONPath=".spec.env[*].name"
// +kubebuilder:printcolumn:name="VaultAddress",type="string",JSONPath=".spec.hashiCorpVault.address"
// +kubebuilder:printcolumn:name="ScaledObjects",type="string",priority=1,JSONPath=".status.scaledobjects"
// +kubebuilder:printcolumn:name="ScaledJobs",type="string",priority=1,JSONPath=".status.scaledjobs"
type TriggerAuthentication struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// Where the credentials come from.
	Spec TriggerAuthenticationSpec `json:"spec"`

	// Who uses the credentials. Written by the controller only.
	// +optional
	Status TriggerAuthenticationStatus `json:"status,omitzero"`
}

// TriggerAuthenticationList is a list of TriggerAuthentications.
//
// +kubebuilder:object:root=true
type TriggerAuthenticationList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []TriggerAuthentication `json:"items"`
}

// ClusterTriggerAuthentication supplies credentials to the triggers of all
// namespaces that refer to it. Secrets, ConfigMaps and service accounts it names
// are those of one namespace set by whoever runs the controller.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=clustertriggerauthentications,scope=Cluster,shortName=cta;clustertriggerauth
// +kubebuilder:printcolumn:name="PodIdentity",type="string",JSONPath=".spec.podIdentity.provider"
// +kubebuilder:printcolumn:name="Secret",type="string",JSONPath=".spec.secretTargetRef[*].name"
// +kubebuilder:printcolumn:name="Env",type="string",JSONPath=".spec.env[*].name"
// +kubebuilder:printcolumn:name="FilePath",type="string",JSONPath=".spec.filePath"
// +kubebuilder:printcolumn:name="VaultAddress",type="string",JSONPath=".spec.hashiCorpVault.address"
// +kubebuilder:printcolumn:name="ScaledObjects",type="string",priority=1,JSONPath=".status.scaledobjects"
// +kubebuilder:printcolumn:name="ScaledJobs",type="string",priority=1,JSONPath=".status.scaledjobs"
type ClusterTriggerAuthentication struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// Where the credentials come from.
	Spec TriggerAuthenticationSpec `json:"spec"`

	// Who uses the credentials. Written by the controller only.
	// +optional
	Status TriggerAuthenticationStatus `json:"status,omitzero"`
}

// ClusterTriggerAuthenticationList is a list of ClusterTriggerAuthentications.
//
// +kubebuilder:object:root=true
type ClusterTriggerAuthenticationList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []ClusterTriggerAuthentication `json:"items"`
}

// TriggerAuthenticationSpec says where the authentication parameters of a
// trigger come from. Several sources may be combined; where two set the same
// parameter, the one further down in this order wins: env, configMapTargetRef,
// secretTargetRef, hashiCorpVault, azureKeyVault, gcpSecretManager,
// awsSecretManager, boundServiceAccountToken, oauth2. filePath excludes all of
// them.
type TriggerAuthenticationSpec struct {
	// Cloud identity to use instead of, or beside, stored credentials.
	// +optional
	PodIdentity *PodIdentity `json:"podIdentity,omitempty"`

	// Parameters from keys of Secrets.
	// +listType=atomic
	// +optional
	SecretTargetRef []TargetRef `json:"secretTargetRef,omitempty"`

	// Parameters from keys of ConfigMaps.
	// +listType=atomic
	// +optional
	ConfigMapTargetRef []TargetRef `json:"configMapTargetRef,omitempty"`

	// Parameters from environment variables of the workload's containers.
	// +listType=atomic
	// +optional
	Env []EnvRef `json:"env,omitempty"`

	// All parameters from one JSON file of strings, named relative to a directory
	// that whoever runs the controller has opened for this. Only in a
	// ClusterTriggerAuthentication; excludes all other sources.
	// +optional
	FilePath string `json:"filePath,omitempty"`

	// Parameters from HashiCorp Vault.
	// +optional
	HashiCorpVault *HashiCorpVault `json:"hashiCorpVault,omitempty"`

	// Parameters from Azure Key Vault.
	// +optional
	AzureKeyVault *AzureKeyVault `json:"azureKeyVault,omitempty"`

	// Parameters from Google Cloud Secret Manager.
	// +optional
	GCPSecretManager *GCPSecretManager `json:"gcpSecretManager,omitempty"`

	// Parameters from AWS Secrets Manager.
	// +optional
	AWSSecretManager *AWSSecretManager `json:"awsSecretManager,omitempty"`

	// Parameters from short-lived tokens of service accounts.
	// +listType=atomic
	// +optional
	BoundServiceAccountToken []BoundServiceAccountToken `json:"boundServiceAccountToken,omitempty"`

	// Client of an OAuth 2.0 server that issues tokens for the trigger.
	// +optional
	OAuth2 *OAuth2 `json:"oauth2,omitempty"`
}

// TriggerAuthenticationStatus tells of the users of an authentication object.
type TriggerAuthenticationStatus struct {
	// ScaledObjects that refer to this object: of a TriggerAuthentication their
	// names, joined with commas; of a ClusterTriggerAuthentication how many they
	// are, in how many namespaces.
	// +optional
	ScaledObjectNames string `json:"scaledobjects,omitempty"`

	// ScaledJobs that refer to this object, in the same way.
	// +optional
	ScaledJobNames string `json:"scaledjobs,omitempty"`
}

// PodIdentity is a cloud identity.
type PodIdentity struct {
	// Whose identity mechanism to use. aws-eks is deprecated in favour of aws.
	// none is the same as no podIdentity.
	// +kubebuilder:validation:Enum=azure-workload;gcp;aws;aws-eks;none
	Provider PodIdentityProvider `json:"provider"`

	// azure-workload: client ID to use instead of the controller's own.
	// +optional
	IdentityID *string `json:"identityId,omitempty"`

	// azure-workload: tenant to use instead of the controller's own.
	// +optional
	IdentityTenantID *string `json:"identityTenantId,omitempty"`

	// azure-workload: authority to use instead of the default one; needs
	// identityTenantId.
	// +optional
	IdentityAuthorityHost *string `json:"identityAuthorityHost,omitempty"`

	// aws: role to assume. Not together with the identityOwner workload.
	// +optional
	RoleArn *string `json:"roleArn,omitempty"`

	// aws: external ID to give when the role is assumed; needs roleArn.
	// +optional
	ExternalID *string `json:"externalID,omitempty"`

	// aws: whose role to use: that of the controller (keda, the default) or that
	// of the workload's service account, from its eks.amazonaws.com/role-arn
	// annotation (workload).
	// +kubebuilder:validation:Enum=keda;workload
	// +optional
	IdentityOwner *IdentityOwner `json:"identityOwner,omitempty"`
}

// PodIdentityProvider names an identity mechanism.
type PodIdentityProvider string

const (
	// PodIdentityNone is no cloud identity.
	PodIdentityNone PodIdentityProvider = "none"
	// PodIdentityAzureWorkload is Microsoft Entra Workload ID.
	PodIdentityAzureWorkload PodIdentityProvider = "azure-workload"
	// PodIdentityGCP is Workload Identity Federation for GKE.
	PodIdentityGCP PodIdentityProvider = "gcp"
	// PodIdentityAWS is an IAM role of the controller or of the workload.
	PodIdentityAWS PodIdentityProvider = "aws"
	// PodIdentityAWSEKS is the IAM role of the workload's service account. Deprecated in the API.
	PodIdentityAWSEKS PodIdentityProvider = "aws-eks"
)

// IdentityOwner says whose AWS role is used.
type IdentityOwner string

const (
	// IdentityOwnerController uses the role of the controller. The value users
	// write is "keda". It also holds when the field is unset.
	IdentityOwnerController IdentityOwner = "keda"
	// IdentityOwnerWorkload uses the role of the workload's service account.
	IdentityOwnerWorkload IdentityOwner = "workload"
)

// EffectivePodIdentity returns the identity provider: none when unset.
func (s *TriggerAuthenticationSpec) EffectivePodIdentity() PodIdentityProvider {
	if s.PodIdentity == nil || s.PodIdentity.Provider == "" {
		return PodIdentityNone
	}
	return s.PodIdentity.Provider
}

// EffectiveIdentityOwner returns whose AWS role is used: the controller's when unset.
func (p *PodIdentity) EffectiveIdentityOwner() IdentityOwner {
	if p.IdentityOwner == nil || *p.IdentityOwner == "" {
		return IdentityOwnerController
	}
	return *p.IdentityOwner
}
