package awsfake

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"net/http"
	"strings"

	"github.com/aws/smithy-go/encoding/cbor"
)

// protocol encodes answers.
type protocol struct {
	answer func(w http.ResponseWriter, operation string, out reply)
	fail   func(w http.ResponseWriter, status int, code, message string)
}

func cborProtocol() protocol {
	return protocol{
		answer: func(w http.ResponseWriter, _ string, out reply) {
			if m, ok := out.(cbor.Map); ok {
				sendCBOR(w, http.StatusOK, m)
			}
		},
		fail: func(w http.ResponseWriter, status int, code, message string) {
			sendCBOR(w, status, cbor.Map{"__type": cbor.String("com.amazonaws.cloudwatch#" + code), "message": cbor.String(message)})
		},
	}
}

func queryProtocol() protocol {
	return protocol{
		answer: func(w http.ResponseWriter, operation string, out reply) {
			_, name, _ := strings.Cut(operation, ":")
			sendXML(w, http.StatusOK, element{name + "Response", element{name + "Result", out}})
		},
		fail: func(w http.ResponseWriter, status int, code, message string) {
			sendXML(w, status, element{"ErrorResponse", element{"Error", struct{ Type, Code, Message string }{"Sender", code, message}}})
		},
	}
}

func jsonProtocol(version string) protocol {
	send := func(w http.ResponseWriter, status int, v any) {
		w.Header().Set("Content-Type", "application/x-amz-json-"+version)
		w.WriteHeader(status)
		raw, err := json.Marshal(v)
		if err != nil {
			panic(err) // the fake's own types
		}
		write(w, raw)
	}
	return protocol{
		answer: func(w http.ResponseWriter, _ string, out reply) { send(w, http.StatusOK, out) },
		fail: func(w http.ResponseWriter, status int, code, message string) {
			if code == "QueueDoesNotExist" { // keeps the code it had before JSON
				w.Header().Set("x-amzn-query-error", "AWS.SimpleQueueService.NonExistentQueue;Sender")
			}
			send(w, status, map[string]string{"__type": "com.amazonaws.fake#" + code, "message": message})
		},
	}
}

func sendCBOR(w http.ResponseWriter, status int, m cbor.Map) {
	w.Header().Set("Smithy-Protocol", "rpc-v2-cbor")
	w.Header().Set("Content-Type", "application/cbor")
	w.WriteHeader(status)
	write(w, cbor.Encode(m))
}

// element is an XML element whose name is known only at run time.
type element struct {
	name  string
	inner any
}

// MarshalXML implements xml.Marshaler.
func (e element) MarshalXML(enc *xml.Encoder, _ xml.StartElement) error {
	start := xml.StartElement{Name: xml.Name{Local: e.name}}
	inner, nested := e.inner.(element)
	if !nested {
		return enc.EncodeElement(e.inner, start)
	}
	if err := enc.EncodeToken(start); err != nil {
		return err
	}
	if err := enc.Encode(inner); err != nil {
		return err
	}
	return enc.EncodeToken(start.End())
}

func sendXML(w http.ResponseWriter, status int, e element) {
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(status)
	raw, err := xml.Marshal(e)
	if err != nil {
		panic(err) // the fake's own types
	}
	write(w, raw)
}

// write sends a body to a client that may have gone away.
func write(w http.ResponseWriter, raw []byte) {
	if _, err := bytes.NewReader(raw).WriteTo(w); err != nil {
		return // nobody is left to be told
	}
}
