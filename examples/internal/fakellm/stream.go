package fakellm

import (
	"bytes"
	"encoding/json"
)

// done is the data of the event that ends OpenAI's streams. It is no JSON.
type doneWord struct{}

var done doneWord

// event is one server-sent event.
type event struct {
	name string // empty where the dialect has no names
	data any
}

// bytes is the event as it is sent.
func (e event) bytes() []byte {
	var b bytes.Buffer
	if e.name != "" {
		b.WriteString("event: " + e.name + "\n")
	}
	b.WriteString("data: ")
	if e.data == done {
		b.WriteString("[DONE]")
	} else {
		data, err := json.Marshal(e.data)
		if err != nil {
			panic(err) // no event here holds what JSON cannot
		}
		b.Write(data)
	}
	b.WriteString("\n\n")
	return b.Bytes()
}
