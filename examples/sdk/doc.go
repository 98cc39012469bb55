// Package sdk has the SDKs of LLM APIs send through a dispatcher. What each needs is in its NewX: the http.Client is one
// whose Transport is a transport.Transport, and the SDK's own retries are off. The rest of a program stays as it is.
//
//	d, err := dispatcher.New(dispatcher.Config{
//		Limits: []policy.Limit{{Name: "requests", Rate: policy.PerMinute(500), Burst: 10}},
//		Retry:  policy.Retry{MaxAttempts: 10},
//	})
//	…
//	t, err := transport.New(d, transport.Config{})
//	…
//	client := sdk.NewOpenAI(baseURL, key, &http.Client{Transport: t})
//
// The tests of this module hold the SDKs, at the versions in go.mod, against a hostile API on this machine; the command
// compare has each of them work with and without a dispatcher, side by side.
package sdk
