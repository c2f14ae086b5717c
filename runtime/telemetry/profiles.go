package telemetry

import (
	"fmt"
	"net/http"
	"runtime/pprof"
	"runtime/trace"
	"strconv"
	"time"
)

// maxProfile limits how long a profile may take, in seconds.
const maxProfile = 300

// profiles returns the handlers of what net/http/pprof serves, by their patterns. That package
// cannot be used: it also registers its handlers with http.DefaultServeMux, which a program may
// serve to the public.
func profiles() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"GET /debug/pprof/{$}":    listProfiles,
		"GET /debug/pprof/{name}": writeProfile,
		"GET /debug/pprof/profile": func(w http.ResponseWriter, req *http.Request) {
			if err := pprof.StartCPUProfile(w); err != nil {
				http.Error(w, err.Error(), http.StatusConflict)
				return
			}
			defer pprof.StopCPUProfile()
			await(req, 30)
		},
		"GET /debug/pprof/trace": func(w http.ResponseWriter, req *http.Request) {
			if err := trace.Start(w); err != nil {
				http.Error(w, err.Error(), http.StatusConflict)
				return
			}
			defer trace.Stop()
			await(req, 1)
		},
	}
}

func listProfiles(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	for _, p := range pprof.Profiles() {
		fmt.Fprintf(w, "%s\t%d\n", p.Name(), p.Count())
	}
	fmt.Fprint(w, "profile?seconds=30\ntrace?seconds=1\n")
}

func writeProfile(w http.ResponseWriter, req *http.Request) {
	profile := pprof.Lookup(req.PathValue("name"))
	if profile == nil {
		http.Error(w, "unknown profile", http.StatusNotFound)
		return
	}
	debug, err := strconv.Atoi(req.FormValue("debug"))
	if err != nil {
		debug = 0
	}
	if debug > 0 {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	}
	_ = profile.WriteTo(w, debug) // an error means that the caller is gone
}

// await waits for as many seconds as a request asks for, or until its caller is gone.
func await(req *http.Request, standard int) {
	seconds, err := strconv.Atoi(req.FormValue("seconds"))
	if err != nil || seconds <= 0 {
		seconds = standard
	}
	timer := time.NewTimer(time.Duration(min(seconds, maxProfile)) * time.Second)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-req.Context().Done():
	}
}
