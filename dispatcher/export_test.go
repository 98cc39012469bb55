package dispatcher

import (
	"time"

	"github.com/toller-go/toller/policy"
)

// NextWake returns how long it is until the scheduler wakes up by itself; negative when it does not.
func NextWake(d *Dispatcher) time.Duration {
	wait := time.Duration(-1)
	d.ask(func() {
		// At the end of the turn, when what is admitted has been.
		d.loop.after = append(d.loop.after, func() {
			if next := d.loop.core.NextWake(); next != policy.Never {
				wait = next.Sub(d.loop.now)
			}
		})
	})
	return wait
}

// Watches returns how many contexts are watched.
func Watches(d *Dispatcher) int {
	d.watches.mu.Lock()
	defer d.watches.mu.Unlock()
	return len(d.watches.by)
}
