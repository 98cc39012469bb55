package api

import "fmt"

// Class is what an answer, or the lack of one, means.
type Class uint8

// The classes. What a dispatcher does about each is told by [Meaning.Mark].
const (
	OK         Class = iota // done
	BadAnswer               // 2xx, but not what was asked for: an error inside, nothing inside, or cut short. Tried again
	Throttled               // too much was sent: the key cools down
	NeverFits               // larger than the model or the limit will ever take: final
	OutOfMoney              // the account, or its quota of the day, is used up: the key is of no use
	BadKey                  // the credential is refused: likewise
	BadRequest              // the request is wrong: final
	Filtered                // refused, or withheld, for its content: final
	Conflict                // 408, 409, 425: tried again
	Server                  // 5xx: tried again
	Unsent                  // no connection was made: tried again
	Ambiguous               // the connection broke after the request was sent, and nobody knows what became of it: tried again
)

// String returns the class in lower case, with underscores.
func (c Class) String() string {
	names := [...]string{
		"ok", "bad_answer", "throttled", "never_fits", "out_of_money", "bad_key", "bad_request", "filtered", "conflict", "server", "unsent",
		"ambiguous",
	}
	if int(c) >= len(names) {
		return fmt.Sprintf("Class(%d)", uint8(c))
	}
	return names[c]
}

// transient reports whether another attempt may go better without anybody doing something, throttles aside.
func (c Class) transient() bool {
	switch c {
	case BadAnswer, Conflict, Server, Unsent, Ambiguous:
		return true
	default:
		return false
	}
}

// Billed says whether the server has charged for an attempt.
type Billed uint8

// The answers.
const (
	BilledMaybe Billed = iota // nobody knows
	BilledNo                  // certainly not
	BilledYes
)

// String returns "maybe", "no" or "yes".
func (b Billed) String() string {
	names := [...]string{"maybe", "no", "yes"}
	if int(b) >= len(names) {
		return fmt.Sprintf("Billed(%d)", uint8(b))
	}
	return names[b]
}
