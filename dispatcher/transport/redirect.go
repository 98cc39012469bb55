package transport

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// secrets are headers that are for one host alone, in their canonical form.
var secrets = []string{"Authorization", "Api-Key", "X-Api-Key", "X-Goog-Api-Key", "Ocp-Apim-Subscription-Key"}

// strayedFrom returns the first request of a row of redirects that has led to another host, or from https to http; otherwise nil.
func strayedFrom(req *http.Request) *http.Request {
	origin := req
	for origin.Response != nil && origin.Response.Request != nil {
		origin = origin.Response.Request
	}
	if origin == req || origin.URL == nil || sameHost(origin.URL, req.URL) {
		return nil
	}
	return origin
}

// stripSecrets takes the secrets that were sent to another host out of h. http.Client does that with Authorization alone, and not
// when it goes to a subdomain.
func stripSecrets(sent, h http.Header) {
	for _, name := range secrets {
		if slices.Equal(h[name], sent[name]) {
			delete(h, name)
		}
	}
}

func sameHost(from, to *url.URL) bool {
	return hostPort(from) == hostPort(to) && (from.Scheme != "https" || to.Scheme == "https")
}

// hostPort is where a URL goes. Ports that go without saying are said.
func hostPort(u *url.URL) string {
	port := u.Port()
	switch {
	case port != "":
	case u.Scheme == "https":
		port = "443"
	default:
		port = "80"
	}
	return net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}
