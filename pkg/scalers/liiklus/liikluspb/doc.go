// Package liikluspb holds the calls of a Liiklus server that the scaler makes. It
// is generated from liiklus.proto.
package liikluspb

//go:generate protoc --go_out=. --go_opt=paths=source_relative --go-grpc_out=. --go-grpc_opt=paths=source_relative liiklus.proto
