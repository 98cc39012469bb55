package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"hash/crc32"
	"strconv"
)

// A record is a line of JSON that ends with its own checksum. Fields that are 0 are left out, save for the item and its starts:
//
//	{"k":"start","i":17,"n":2,"u":1,"h":"1f0e…","d":{…},"c":"89abcdef"}
//
// The checksum is the CRC-32C of all bytes before `,"c":`, as 8 hexadecimal digits. It stands at a fixed distance from the end, so
// that a line can be judged before it is parsed. There is one spelling of each record, and the reader takes no other.
const (
	version  = 1
	magic    = `{"k":"journal"`
	sealHead = `,"c":"`
	sealTail = `"}`
	sealSize = len(sealHead) + 8 + len(sealTail)
	// maxLine is the most a line can have, without its newline: data, and the rest with the longest numbers.
	maxLine = MaxData + 256
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errSeal: the line is not as it was written, or nobody has written it.
var errSeal = errors.New("its checksum is wrong")

// errContent: the line is as it was written, but not by this version.
var errContent = errors.New("its checksum is right, but not its content")

// encode appends the line of r, with its newline, to b.
func encode(b []byte, r Record) []byte {
	begin := len(b)
	b = append(b, `{"k":"`...)
	b = append(b, r.Kind.String()...)
	b = append(b, '"')
	switch {
	case r.Kind == KindHeader:
		b = append(b, `,"v":`...)
		b = strconv.AppendInt(b, version, 10)
	case r.Kind.ofItem():
		b = append(b, `,"i":`...)
		b = strconv.AppendInt(b, int64(r.Item), 10)
		b = append(b, `,"n":`...)
		b = strconv.AppendInt(b, int64(r.Status.Starts), 10)
		if r.Status.Ambiguous > 0 {
			b = append(b, `,"u":`...)
			b = strconv.AppendInt(b, int64(r.Status.Ambiguous), 10)
		}
		if r.Status.Hash != 0 {
			b = append(b, `,"h":"`...)
			b = appendHex(b, r.Status.Hash, 16)
			b = append(b, '"')
		}
	}
	if r.Data != nil {
		b = append(b, `,"d":`...)
		b = append(b, r.Data...)
	}
	sum := crc32.Checksum(b[begin:], castagnoli)
	b = append(b, sealHead...)
	b = appendHex(b, uint64(sum), 8)
	b = append(b, sealTail...)
	return append(b, '\n')
}

// appendHex appends v as that many hexadecimal digits.
func appendHex(b []byte, v uint64, digits int) []byte {
	for shift := (digits - 1) * 4; shift >= 0; shift -= 4 {
		b = append(b, "0123456789abcdef"[v>>shift&15])
	}
	return b
}

// sealed reports whether line, without its newline, carries the checksum of its bytes.
func sealed(line []byte) bool {
	at := len(line) - sealSize
	if at < 0 {
		return false
	}
	seal := line[at:]
	if string(seal[:len(sealHead)]) != sealHead || string(seal[sealSize-len(sealTail):]) != sealTail {
		return false
	}
	var want [8]byte
	appendHex(want[:0], uint64(crc32.Checksum(line[:at], castagnoli)), 8)
	return string(seal[len(sealHead):sealSize-len(sealTail)]) == string(want[:])
}

// decode reads a line without its newline: errSeal, errContent, or the record. Its data is part of line.
func decode(line []byte) (Record, error) {
	if !sealed(line) {
		return Record{}, errSeal
	}
	c := cursor{rest: line[:len(line)-sealSize]}
	var r Record
	c.want(`{"k":"`)
	r.Kind = c.kind()
	switch {
	case r.Kind == KindHeader:
		c.want(`,"v":`)
		if c.number(version) != version {
			c.bad = true
		}
	case r.Kind.ofItem():
		c.want(`,"i":`)
		r.Item = c.number(MaxItem)
		c.want(`,"n":`)
		r.Status.Starts = c.number(maxCount)
		if c.skip(`,"u":`) {
			r.Status.Ambiguous = c.positive(maxCount)
		}
		if c.skip(`,"h":"`) {
			r.Status.Hash = c.hash()
		}
		r.Status.State = r.Kind.state()
		if r.Kind == KindReset && r.Status != (Status{}) {
			c.bad = true
		}
	}
	if c.skip(`,"d":`) {
		r.Data = c.data()
	}
	if c.bad || len(c.rest) > 0 {
		return Record{}, errContent
	}
	return r, nil
}

// cursor takes a line apart from left to right. Once something is not as it must be, it stays bad.
type cursor struct {
	rest []byte
	bad  bool
}

// skip takes word if it is what comes next.
func (c *cursor) skip(word string) bool {
	if len(c.rest) < len(word) || string(c.rest[:len(word)]) != word {
		return false
	}
	c.rest = c.rest[len(word):]
	return true
}

// want takes word, which must come next.
func (c *cursor) want(word string) {
	if !c.skip(word) {
		c.bad = true
	}
}

// kind takes the name of a kind, and the quote after it.
func (c *cursor) kind() Kind {
	if end := bytes.IndexByte(c.rest, '"'); end >= 0 {
		for k := KindHeader; int(k) < len(kindNames); k++ {
			if kindNames[k] == string(c.rest[:end]) {
				c.rest = c.rest[end+1:]
				return k
			}
		}
	}
	c.bad = true
	return 0
}

// number takes a decimal number from 0 to limit, spelled without leading zeros.
func (c *cursor) number(limit int) int {
	n, digits := 0, 0
	for digits < len(c.rest) && c.rest[digits] >= '0' && c.rest[digits] <= '9' {
		n = n*10 + int(c.rest[digits]-'0')
		digits++
		if n > limit {
			c.bad = true
			return 0
		}
	}
	if digits == 0 || digits > 1 && c.rest[0] == '0' {
		c.bad = true
	}
	c.rest = c.rest[digits:]
	return n
}

// positive takes a number as number does, and not 0: that is spelled by leaving the field out.
func (c *cursor) positive(limit int) int {
	n := c.number(limit)
	if n == 0 {
		c.bad = true
	}
	return n
}

// hash takes 16 hexadecimal digits, not all of them 0, and the quote after them.
func (c *cursor) hash() uint64 {
	const digits = 16
	if len(c.rest) < digits {
		c.bad = true
		return 0
	}
	var v uint64
	var all uint8
	for _, char := range c.rest[:digits] { // without branches: they would be guessed wrong half of the time
		digit := digitOf[char]
		all |= digit
		v = v<<4 | uint64(digit&15)
	}
	c.rest = c.rest[digits:]
	c.want(`"`)
	if all > 15 || v == 0 {
		c.bad = true
	}
	return v
}

// digitOf is what each byte means as a hexadecimal digit; 16 if nothing.
var digitOf = func() (table [256]uint8) {
	for i := range table {
		table[i] = 16
	}
	for i, char := range []byte("0123456789abcdef") {
		table[char] = uint8(i)
	}
	return table
}()

// data takes the rest, which must be a JSON value.
func (c *cursor) data() json.RawMessage {
	data := c.rest
	c.rest = nil
	if len(data) > MaxData || !json.Valid(data) {
		c.bad = true
	}
	return data
}

// oneLine returns data as it can stand in a record, or what is wrong with it, named field.
func oneLine(field string, data json.RawMessage) (json.RawMessage, error) {
	if data == nil {
		return nil, nil
	}
	if len(data) > MaxData {
		return nil, &FieldError{field, strconv.Itoa(len(data)) + " bytes long", "at most " + strconv.Itoa(MaxData)}
	}
	if !json.Valid(data) {
		return nil, &FieldError{field, strconv.Quote(string(data[:min(len(data), 40)])), "a JSON value, or nil"}
	}
	if bytes.IndexByte(data, '\n') < 0 {
		return data, nil
	}
	var b bytes.Buffer
	if err := json.Compact(&b, data); err != nil { // not after Valid
		return nil, err
	}
	return b.Bytes(), nil
}
