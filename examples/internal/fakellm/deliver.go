package fakellm

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// delivery is an admitted request, and how to speak to who sent it.
type delivery struct {
	voice
	asked
}

// answer sends the answer, streamed if that was asked for. The error is that of handing it to the network.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, d delivery, withheld bool) error {
	if !d.stream {
		return writeJSON(w, http.StatusOK, d.body(withheld))
	}
	return s.sendEvents(w, r, d.events(withheld))
}

// sendEvents sends a stream, an event at a time.
func (s *Server) sendEvents(w http.ResponseWriter, r *http.Request, events []event) error {
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	for i, e := range events {
		if i > 0 && !s.sleep(r.Context(), s.cfg.WordDelay) {
			return r.Context().Err()
		}
		if _, err := w.Write(e.bytes()); err != nil {
			return err
		}
		if err := flush(w); err != nil {
			return err
		}
	}
	return nil
}

// flush hands to the network what was written, where that can be done.
func flush(w http.ResponseWriter) error {
	if err := http.NewResponseController(w).Flush(); !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}

// fail sends what a fault says.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, v verdict, d delivery) {
	n := natures[v.fault]
	switch n.wire {
	case asPage:
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(n.status)
		_, _ = fmt.Fprintf(w, "<html><head><title>%d</title></head><body>nginx</body></html>", n.status)
	case asReset:
		reset(w)
	case asEOF:
		hangUp(w)
	case asResetMid, asEOFMid, asStall:
		s.breakOff(w, r, d, n.wire)
	case asShort:
		data := d.bytes()
		if d.stream {
			w.Header().Set("Content-Type", "text/event-stream")
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(data)/2))
		_, _ = w.Write(data[:len(data)/2])
	case asEmpty:
		w.WriteHeader(http.StatusOK)
	case asErrorIn200:
		_ = writeJSON(w, http.StatusOK, d.errorBody(500, n.problem))
	case asWithheld:
		_ = s.answer(w, r, d, true)
	default:
		status, p := d.inItsWords(n.status, n.problem)
		stampHint(w.Header(), n.hint, v.retryAfter, time.Now())
		d.write(w, status, p)
	}
}

// bytes is the whole answer as it is sent.
func (d delivery) bytes() []byte {
	if d.stream {
		var all []byte
		for _, e := range d.events(false) {
			all = append(all, e.bytes()...)
		}
		return all
	}
	data, err := json.Marshal(d.body(false))
	if err != nil {
		panic(err) // no body here holds what JSON cannot
	}
	return data
}

// breakOff sends half of an answer, and then no more.
func (s *Server) breakOff(w http.ResponseWriter, r *http.Request, d delivery, how wire) {
	data := d.bytes()
	w.Header().Set("Content-Type", "application/json")
	if d.stream {
		w.Header().Set("Content-Type", "text/event-stream")
	} else {
		w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	}
	w.WriteHeader(http.StatusOK)
	half, rest := data[:len(data)/2], data[len(data)/2:]
	_, _ = w.Write(half)
	_ = flush(w)
	switch how {
	case asResetMid:
		reset(w)
	case asStall:
		for i := range min(10, len(rest)-1) { // the last byte never comes
			if !s.sleep(r.Context(), s.cfg.Stall/10) {
				break
			}
			_, _ = w.Write(rest[i : i+1])
			_ = flush(w)
		}
		panic(http.ErrAbortHandler)
	default:
		panic(http.ErrAbortHandler)
	}
}

// reset ends the connection with a TCP reset instead of an answer, or of the rest of one. Where there is no connection to take
// over (HTTP/2, a recorder), the request is aborted in the way net/http offers.
func reset(w http.ResponseWriter) { disconnect(w, true) }

// hangUp closes the connection.
func hangUp(w http.ResponseWriter) { disconnect(w, false) }

func disconnect(w http.ResponseWriter, hard bool) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	// Linger 0 turns the close into a reset; without it the client would see a clean end of the stream.
	if tcp, ok := conn.(interface{ SetLinger(seconds int) error }); ok && hard {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
