// Package otlp sends messages between services to a collector, as spans of OpenTelemetry: protobuf over HTTP. An
// [Exporter] has a queue of bounded size. What a collector does not take in time is lost, and counted: nothing waits
// for it.
package otlp
