package main

import (
	"fmt"
	"io"
	"net/http"
	"time"
)

// backends are the made-up services behind the server, by the name that is the first part of the path and the key of their
// requests. Keys are from this list only: a client who could make them up could have the dispatcher remember any number.
func backends() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"quick": func(w http.ResponseWriter, r *http.Request) { respond(w, r, 20*time.Millisecond, http.StatusOK) },
		"slow":  func(w http.ResponseWriter, r *http.Request) { respond(w, r, 10*time.Second, http.StatusOK) },
		"broken": func(w http.ResponseWriter, r *http.Request) {
			respond(w, r, 20*time.Millisecond, http.StatusInternalServerError)
		},
		"busy": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "3")
			respond(w, r, 20*time.Millisecond, http.StatusTooManyRequests)
		},
	}
}

// respond takes its time, and says what the request said.
func respond(w http.ResponseWriter, r *http.Request, takes time.Duration, status int) {
	timer := time.NewTimer(takes)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "%s %s: ", r.Method, r.URL.Path)
	_, _ = io.Copy(w, r.Body)
	_, _ = io.WriteString(w, "\n")
}
