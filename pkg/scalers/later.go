package scalers

import "strings"

// later lists the trigger types that manifests of the same API hold and this
// version does not have, so that their users are told so instead of being offered
// the nearest name.
func later() []string {
	return strings.Fields(`
		activemq arangodb artemis-queue aws-dynamodb aws-dynamodb-streams azure-app-insights azure-data-explorer
		azure-log-analytics azure-monitor azure-pipelines beanstalkd cassandra clickhouse couchdb datadog dynatrace
		elastic-forecast elasticsearch etcd forgejo-runner gcp-cloudtasks gcp-spanner gcp-storage github-runner graphite
		huawei-cloudeye ibmmq influxdb kubernetes-resource loki mongodb mssql new-relic nsq opensearch openstack-metric
		openstack-swift predictkube pulsar selenium-grid solace-direct-messaging solace-event-queue solarwinds solr splunk
		splunk-observability sumologic temporal`)
}
