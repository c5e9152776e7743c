//go:build e2e

package e2e

// idle is a Deployment that only runs.
const idle = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: {{.Name}}}
spec:
  replicas: {{.Replicas}}
  selector: {matchLabels: {app: {{.Name}}}}
  template:
    metadata: {labels: {app: {{.Name}}}}
    spec:
      nodeSelector: {weir.sh/node: host}
      terminationGracePeriodSeconds: 1
      containers: [{name: main, image: none, command: [sleep, infinity]}]`

// worker is a Deployment that works off a queue.
const worker = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: {{.Name}}}
spec:
  replicas: 0
  selector: {matchLabels: {app: {{.Name}}}}
  template:
    metadata: {labels: {app: {{.Name}}}}
    spec:
      nodeSelector: {weir.sh/node: host}
      containers:
      - name: main
        image: none
        command: [weir-demo-worker, --kind={{.Kind}}, --list=jobs, --queue={{.Queue}}, --work=300ms]
        env:
        - {name: REDIS_ADDRESS, value: "{{.Address}}"}
        - {name: RABBITMQ_URL, value: "{{.Address}}"}`

// redisObject scales on the list "jobs".
const redisObject = `
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: {{.Name}}}
spec:
  scaleTargetRef: {name: {{.Name}}}
  pollingInterval: {{.Polling}}
  cooldownPeriod: {{.Cooldown}}
  maxReplicaCount: 10
  triggers:
  - type: redis
    metadata: {address: "{{.Address}}", listName: jobs, listLength: "5"}`

// redisSecretObject takes the address and the password from a Secret.
const redisSecretObject = `
apiVersion: v1
kind: Secret
metadata: {name: {{.Name}}}
stringData: {password: {{.Password}}}
---
apiVersion: keda.sh/v1alpha1
kind: TriggerAuthentication
metadata: {name: {{.Name}}}
spec:
  secretTargetRef: [{parameter: password, name: {{.Name}}, key: password}]
---
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: {{.Name}}}
spec:
  scaleTargetRef: {name: {{.Name}}}
  cooldownPeriod: 5
  triggers:
  - type: redis
    metadata: {address: "{{.Address}}", listName: jobs, listLength: "5"}
    authenticationRef: {name: {{.Name}}}`

// rabbitObject scales on a queue.
const rabbitObject = `
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: {{.Name}}}
spec:
  scaleTargetRef: {name: {{.Name}}}
  pollingInterval: 2
  cooldownPeriod: 5
  maxReplicaCount: 10
  triggers:
  - type: rabbitmq
    metadata: {host: "{{.Address}}", queueName: {{.Queue}}, mode: QueueLength, value: "5"}`
