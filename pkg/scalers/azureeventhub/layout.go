package azureeventhub

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// layout is where consumers of a kind keep their checkpoints in a storage
// container, and what they look like. In each of them a blob's name is a prefix
// followed by the id of the partition.
type layout string

const (
	azureFunction layout = "azureFunction"
	blobMetadata  layout = "blobMetadata"
	goSDK         layout = "goSdk"
	dapr          layout = "dapr"
	plainJSON     layout = "" // of older SDKs; also what an unknown name means
)

// functionsContainer is the container of Azure Functions, which is not
// configurable there.
const functionsContainer = "azure-webjobs-eventhub"

// prefixes are what the names of a group's checkpoints may begin with, in the
// order in which they are looked for. Namespace and hub are tried as the trigger
// says them and then in lower case, which is what today's SDKs write.
func (q query) prefixes(namespace string) []string {
	switch q.layout {
	case azureFunction:
		return bothCases(namespace+"/"+q.hub, "/"+q.group+"/")
	case blobMetadata:
		return bothCases(namespace+"/"+q.hub, "/"+strings.ToLower(q.group)+"/checkpoint/")
	case goSDK:
		return []string{""}
	case dapr:
		return []string{"dapr-" + q.hub + "-" + q.group + "-"}
	case plainJSON:
	}
	return []string{q.group + "/"}
}

func bothCases(hub, rest string) []string {
	if lower := strings.ToLower(hub); lower != hub {
		return []string{hub + rest, lower + rest}
	}
	return []string{hub + rest}
}

// inMetadata says that the sequence number is in the blob's metadata and that
// its content does not matter.
func (l layout) inMetadata() bool { return l == blobMetadata }

// errCheckpoint says that a blob is no checkpoint of its layout.
var errCheckpoint = errors.New("it is not a checkpoint of this layout")

// fromMetadata reads the sequence number of a checkpoint. The case of names is
// lost on the way through HTTP headers.
func fromMetadata(metadata map[string]*string) (int64, error) {
	for name, value := range metadata {
		if strings.EqualFold(name, "sequencenumber") && value != nil {
			n, err := strconv.ParseInt(*value, 10, 64)
			if err != nil {
				return 0, fmt.Errorf("%w: the sequence number in its metadata is no number", errCheckpoint)
			}
			return n, nil
		}
	}
	return 0, fmt.Errorf("%w: its metadata has no sequence number", errCheckpoint)
}

// fromBody reads the sequence number of a checkpoint. One that says none is at 0.
func (l layout) fromBody(body []byte) (int64, error) {
	var c struct {
		Pascal     int64 `json:"SequenceNumber"`
		Snake      int64 `json:"sequence_number"`
		Checkpoint struct {
			SequenceNumber int64 `json:"sequenceNumber"`
		} `json:"checkpoint"`
	}
	if err := json.Unmarshal(body, &c); err != nil {
		return 0, fmt.Errorf("%w: its content is not the JSON of one", errCheckpoint)
	}
	switch {
	case l == goSDK || l == dapr:
		return c.Checkpoint.SequenceNumber, nil
	case l == plainJSON && c.Pascal == 0:
		return c.Snake, nil
	}
	return c.Pascal, nil
}
