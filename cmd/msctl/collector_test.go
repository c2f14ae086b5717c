package main

import (
	"io"
	"net/http"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// collect receives spans (OTLP over HTTP), and appends each with its service to a file, as a line of JSON. The first line
// of each request has its header Authorization.
func collect(file string, w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var export collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(body, &export)
	}
	if err == nil {
		err = appendLine(file, r.Method+" "+r.Header.Get("Authorization"))
	}
	for _, from := range export.ResourceSpans {
		for _, span := range from.ScopeSpans[0].Spans {
			text, failed := protojson.Marshal(span)
			if err == nil {
				err = failed
			}
			if err == nil {
				err = appendLine(file, from.Resource.Attributes[0].GetValue().GetStringValue()+" "+string(text))
			}
		}
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
}
