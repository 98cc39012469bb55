package main

import (
	"encoding/binary"
	"errors"
	"path/filepath"
	"sync"
	"time"

	"go.etcd.io/bbolt"
)

// bolt keeps a key for each item, and 11 bytes of status under it. One caller has a transaction for each record; several share
// theirs with bbolt's own Batch, which here does not wait for longer than it takes all callers to come.
type bolt struct {
	db     *bbolt.DB
	update func(func(*bbolt.Tx) error) error
	stop   func() error // ends the forcing of interval
}

var bucket = []byte("items")

func openBolt(dir string, p policy, callers int) (store, error) {
	db, err := bbolt.Open(filepath.Join(dir, "bolt.db"), 0o600, &bbolt.Options{
		NoFreelistSync: true, FreelistType: bbolt.FreelistMapType, NoSync: p != always, Timeout: time.Second,
	})
	if err != nil {
		return nil, err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(bucket)
		return err
	})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	b := &bolt{db: db, update: db.Update, stop: func() error { return nil }}
	if callers > 1 {
		db.MaxBatchSize = callers
		b.update = db.Batch
	}
	if p == interval {
		b.stop = everySecond(db.Sync)
	}
	return b, nil
}

// everySecond calls do every second until it is stopped, which returns its errors.
func everySecond(do func() error) (stop func() error) {
	ticker := time.NewTicker(time.Second)
	quit := make(chan struct{})
	var wg sync.WaitGroup
	var err error
	wg.Go(func() {
		for {
			select {
			case <-ticker.C:
				err = errors.Join(err, do())
			case <-quit:
				return
			}
		}
	})
	return func() error {
		ticker.Stop()
		close(quit)
		wg.Wait()
		return err
	}
}

func (b *bolt) start(item int, hash uint64) error {
	return b.change(item, func(s *status) { s.state, s.hash, s.starts = 1, hash, s.starts+1 })
}

func (b *bolt) done(item int) error {
	return b.change(item, func(s *status) { s.state = 2 })
}

func (b *bolt) change(item int, with func(*status)) error {
	return b.update(func(tx *bbolt.Tx) error {
		items := tx.Bucket(bucket)
		var key [8]byte
		binary.BigEndian.PutUint64(key[:], uint64(item))
		var s status
		if value := items.Get(key[:]); value != nil {
			s = unpack(value)
		}
		with(&s)
		return items.Put(key[:], pack(s))
	})
}

func pack(s status) []byte {
	value := make([]byte, 11)
	value[0] = s.state
	binary.BigEndian.PutUint64(value[1:], s.hash)
	binary.BigEndian.PutUint16(value[9:], s.starts)
	return value
}

func unpack(value []byte) status {
	return status{value[0], binary.BigEndian.Uint64(value[1:]), binary.BigEndian.Uint16(value[9:])}
}

func (b *bolt) close() error { return errors.Join(b.stop(), b.db.Close()) }

// each calls fn with every item on record.
func (b *bolt) each(fn func(item int, s status)) error {
	return b.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucket).ForEach(func(key, value []byte) error {
			fn(int(binary.BigEndian.Uint64(key)), unpack(value))
			return nil
		})
	})
}

func loadBolt(dir string) (map[int]status, error) {
	s, err := openBolt(dir, off, 1)
	if err != nil {
		return nil, err
	}
	all := map[int]status{}
	err = s.(*bolt).each(func(item int, s status) { all[item] = s })
	return all, errors.Join(err, s.close())
}

func resumeBolt(dir string) (int, error) {
	s, err := openBolt(dir, off, 1)
	if err != nil {
		return 0, err
	}
	done := 0
	err = s.(*bolt).each(func(_ int, s status) {
		if s.state == 2 {
			done++
		}
	})
	return done, errors.Join(err, s.close())
}
