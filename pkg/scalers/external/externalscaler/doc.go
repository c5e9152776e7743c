// Package externalscaler is the gRPC contract of external scalers: a server that
// implements ExternalScalerServer can be scaled on by triggers of type external
// and external-push. It is generated from externalscaler.proto.
package externalscaler

//go:generate protoc --go_out=. --go_opt=paths=source_relative --go-grpc_out=. --go-grpc_opt=paths=source_relative externalscaler.proto
