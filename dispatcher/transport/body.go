package transport

import (
	"bytes"
	"errors"
	"io"
	"math"
	"net/http"
	"sync"
)

// errBodyUsed is why a request that can't be repeated is not: its body has been sent.
var errBodyUsed = errors.New("transport: the body of the request has been sent and was not kept")

// body is the body of a request, to be sent as often as there are attempts.
type body struct {
	again  func() (io.ReadCloser, error) // the request's GetBody; nil without
	length int64                         // in bytes; -1 if it is not known
	any    bool                          // there is one
	loaded bool                          // data is all of it
	data   []byte
	tried  bool  // to load it
	single bool  // it can be sent once
	err    error // why it could not be read

	mu    sync.Mutex
	first io.ReadCloser // guarded by mu; what the request came with, until it has been used or closed
}

func (b *body) init(req *http.Request) {
	b.first, b.length = req.Body, req.ContentLength
	if req.Body == nil || req.Body == http.NoBody {
		return
	}
	b.any, b.again = true, req.GetBody
	if b.length == 0 {
		b.length = -1
	}
}

// prepare sees to it that the body can be sent again, if that is possible.
func (b *body) prepare(limit int64) error {
	if b.again == nil {
		b.load(limit)
	}
	return b.err
}

// load reads the body into memory, unless it is longer than limit.
func (b *body) load(limit int64) {
	if b.tried || !b.any {
		return
	}
	b.tried = true
	switch {
	case b.length > limit:
		b.single = b.again == nil
	case b.again != nil:
		var copied io.ReadCloser
		if copied, b.err = b.again(); b.err != nil {
			return
		}
		defer copied.Close()
		b.data, b.loaded, b.err = readUpTo(copied, b.length, limit)
	default:
		first := b.take()
		b.data, b.loaded, b.err = readUpTo(first, b.length, limit)
		if b.loaded || b.err != nil {
			first.Close()
			break
		}
		b.single = true
		b.first = &joined{Reader: io.MultiReader(bytes.NewReader(b.data), first), Closer: first}
	}
	if !b.loaded {
		b.data = nil
	}
	if b.loaded && b.length < 0 {
		b.length = int64(len(b.data))
	}
}

// joined is a body of which the beginning has been read.
type joined struct {
	io.Reader
	io.Closer
}

// next returns the body for one more attempt; nil if there is none.
func (b *body) next() (io.ReadCloser, error) {
	switch {
	case !b.any:
		return nil, nil
	case b.loaded:
		return io.NopCloser(bytes.NewReader(b.data)), nil
	}
	if first := b.take(); first != nil {
		return first, nil
	}
	if b.again != nil {
		return b.again()
	}
	return nil, errBodyUsed
}

// take returns what the request came with, once.
func (b *body) take() io.ReadCloser {
	b.mu.Lock()
	defer b.mu.Unlock()
	first := b.first
	b.first = nil
	return first
}

// close closes what the request came with, if it has not been used.
func (b *body) close() {
	if first := b.take(); first != nil {
		first.Close()
	}
}

// readUpTo reads all of r, of which size bytes are expected, or none if that is negative. whole is false if there is more than
// limit, of which a byte may have been read. Memory grows with what comes, not with what is announced.
func readUpTo(r io.Reader, size, limit int64) (data []byte, whole bool, err error) {
	const least, most = 512, 64 << 10
	limit = min(limit, math.MaxInt64-1)
	room := int64(least)
	if size >= 0 && size <= limit {
		room = min(size+1, most) // one more, to see the end without growing
	}
	data = make([]byte, 0, min(room, limit+1))
	for {
		n, err := r.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		if int64(len(data)) > limit {
			return data, false, nil
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return data, err == nil, err
		}
		if len(data) == cap(data) {
			grown := min(2*int64(cap(data)), limit+1)
			if size >= int64(len(data)) && size <= limit {
				grown = min(grown, size+1)
			}
			data = append(make([]byte, 0, grown), data...)
		}
	}
}
