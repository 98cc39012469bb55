package job

// Watchers returns how many are to be told when f is settled.
func Watchers[T any](f *Future[T]) int {
	a := f.audience.Load()
	if a == nil {
		return 0
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.watchers)
}
