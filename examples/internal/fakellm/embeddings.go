package fakellm

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"strings"
)

// dimensions is how long a vector is.
const dimensions = 8

// embeddingsRequest is what of a request for embeddings matters here.
type embeddingsRequest struct {
	Model  string `json:"model"`
	Input  inputs `json:"input"`
	Format string `json:"encoding_format"`
}

// inputs is a text, or a list of texts.
type inputs []string

// UnmarshalJSON takes either.
func (in *inputs) UnmarshalJSON(data []byte) error {
	if isString(data) {
		*in = make(inputs, 1)
		return json.Unmarshal(data, &(*in)[0])
	}
	return json.Unmarshal(data, (*[]string)(in))
}

// vectors is the body of a 200.
type vectors struct {
	Object string         `json:"object"`
	Data   []vector       `json:"data"`
	Model  string         `json:"model"`
	Usage  embeddingUsage `json:"usage"`
}

type vector struct {
	Object    string `json:"object"`
	Index     int    `json:"index"`
	Embedding any    `json:"embedding"` // []float32, or as base64
}

type embeddingUsage struct {
	Prompt int `json:"prompt_tokens"`
	Total  int `json:"total_tokens"`
}

// readEmbeddings reads a request to /v1/embeddings. Several inputs are one prompt, a line each.
func readEmbeddings(body []byte, deployment string) (asked, error) {
	var r embeddingsRequest
	if err := decode(body, &r); err != nil {
		return asked{}, err
	}
	if deployment != "" {
		r.Model = deployment
	}
	switch {
	case r.Model == "":
		return asked{}, errors.New("you must provide a model parameter")
	case len(r.Input) == 0:
		return asked{}, errors.New("'input' cannot be empty")
	case r.Format != "" && r.Format != "float" && r.Format != "base64":
		return asked{}, errors.New("encoding_format must be float or base64")
	}
	made := vectors{Object: "list", Model: r.Model}
	read := 0
	for i, input := range r.Input {
		read += len(input)
		made.Data = append(made.Data, vector{Object: "embedding", Index: i, Embedding: embed(input, r.Format == "base64")})
	}
	u := usage{Prompt: tokens(read), Total: tokens(read)}
	made.Usage = embeddingUsage{Prompt: u.Prompt, Total: u.Total}
	return asked{
		model: r.Model, prompt: strings.Join(r.Input, "\n"), usage: u,
		body: func(bool) any { return made }, // there is nothing in numbers to withhold
	}, nil
}

// embed is the vector of a text: of length 1, and by its hash alone.
func embed(input string, encoded bool) any {
	sum := sha256.Sum256([]byte(input))
	v := make([]float32, dimensions)
	square := 0.0
	for i := range v {
		v[i] = float32(sum[i])/128 - 1
		square += float64(v[i]) * float64(v[i])
	}
	data := make([]byte, 0, 4*dimensions)
	for i := range v {
		v[i] /= float32(math.Sqrt(max(square, 1e-9)))
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v[i]))
	}
	if encoded {
		return base64.StdEncoding.EncodeToString(data)
	}
	return v
}
