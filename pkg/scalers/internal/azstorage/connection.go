package azstorage

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Service is one of the services of an account, as it is called in host names.
type Service string

// The services.
const (
	Blob  Service = "blob"
	Queue Service = "queue"
)

// endpointKey is the key of a connection string that holds the service's address.
func (s Service) endpointKey() string {
	return map[Service]string{Blob: "BlobEndpoint", Queue: "QueueEndpoint"}[s]
}

// Endpoint is where a service is and how to log in. It holds secrets.
type Endpoint struct {
	// URL ends with a slash, or has a shared access signature as its query.
	URL string
	// Account and Key are both set, or both empty when there is a signature.
	Account, Key string
}

// Parse reads a connection string: AccountName with AccountKey, or
// SharedAccessSignature, and optionally an address for the service. Keys are
// compared case-sensitively. The error repeats no part of the string.
func Parse(connection string, s Service) (Endpoint, error) {
	fields := map[string]string{}
	for part := range strings.SplitSeq(strings.TrimRight(connection, ";"), ";") {
		key, value, ok := strings.Cut(part, "=")
		if !ok {
			return Endpoint{}, errors.New("it is not made of key=value pairs that are separated by semicolons")
		}
		fields[key] = value
	}
	name, key := fields["AccountName"], fields["AccountKey"]
	signature := strings.TrimPrefix(fields["SharedAccessSignature"], "?")
	address, err := s.address(fields)
	switch {
	case err != nil:
		return Endpoint{}, err
	case name != "" && key != "":
		if _, err := base64.StdEncoding.DecodeString(key); err != nil {
			return Endpoint{}, errors.New("its AccountKey is not base64")
		}
		return Endpoint{URL: address, Account: name, Key: key}, nil
	case signature != "":
		if _, err := url.ParseQuery(signature); err != nil {
			return Endpoint{}, errors.New("its SharedAccessSignature is not the query of an address")
		}
		return Endpoint{URL: address + "?" + signature}, nil
	}
	return Endpoint{}, errors.New("it needs AccountName and AccountKey, or SharedAccessSignature, in exactly this spelling")
}

// address finds the address of the service, with a slash at its end.
func (s Service) address(fields map[string]string) (string, error) {
	given := fields[s.endpointKey()]
	switch {
	case given != "":
	case fields["AccountName"] != "":
		given = fmt.Sprintf("%s://%s.%s.%s", cmp.Or(fields["DefaultEndpointsProtocol"], "https"),
			fields["AccountName"], s, cmp.Or(fields["EndpointSuffix"], "core.windows.net"))
	case fields["UseDevelopmentStorage"] != "":
		return "", fmt.Errorf("UseDevelopmentStorage is not understood; write out AccountName, AccountKey and %s", s.endpointKey())
	default:
		return "", fmt.Errorf("it needs AccountName or %s, in exactly this spelling", s.endpointKey())
	}
	u, err := url.Parse(given)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New("its parts do not make an http or https address")
	}
	return strings.TrimSuffix(given, "/") + "/", nil
}
