package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	_ "modernc.org/sqlite" // the driver, SQLite translated to Go
)

// sqlite keeps a row for each item, in WAL mode, on one connection. One caller has a transaction for each record; of several, whatever
// waits while a transaction is committed goes into the next one. With interval, synchronous is NORMAL: SQLite forces at
// checkpoints, not by the clock.
type sqlite struct {
	db      *sql.DB
	begin   *sql.Stmt
	end     *sql.Stmt
	records chan record // nil for one caller
	writer  sync.WaitGroup
}

// record is one change, with where its outcome goes.
type record struct {
	item  int
	hash  uint64
	start bool
	reply chan error
}

func openSQLite(dir string, p policy, callers int) (store, error) {
	ctx := context.Background()
	db, err := sql.Open("sqlite", filepath.Join(dir, "sqlite.db"))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	s := &sqlite{db: db}
	for _, statement := range []string{
		"PRAGMA journal_mode = WAL",
		"PRAGMA synchronous = " + map[policy]string{off: "OFF", interval: "NORMAL", always: "FULL"}[p],
		"CREATE TABLE IF NOT EXISTS items (item INTEGER PRIMARY KEY, state INTEGER, hash INTEGER, starts INTEGER)",
	} {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", statement, err), db.Close())
		}
	}
	s.begin, err = db.PrepareContext(ctx, "INSERT INTO items VALUES (?1, 1, ?2, 1) "+
		"ON CONFLICT (item) DO UPDATE SET state = 1, hash = ?2, starts = starts + 1")
	if err == nil {
		s.end, err = db.PrepareContext(ctx, "UPDATE items SET state = 2 WHERE item = ?1")
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if callers > 1 {
		s.records = make(chan record, callers)
		s.writer.Go(s.writeBatches)
	}
	return s, nil
}

func (s *sqlite) start(item int, hash uint64) error {
	if s.records != nil {
		return s.batched(record{item: item, hash: hash, start: true})
	}
	_, err := s.begin.ExecContext(context.Background(), item, int64(hash))
	return err
}

func (s *sqlite) done(item int) error {
	if s.records != nil {
		return s.batched(record{item: item})
	}
	_, err := s.end.ExecContext(context.Background(), item)
	return err
}

func (s *sqlite) batched(r record) error {
	r.reply = make(chan error, 1)
	s.records <- r
	return <-r.reply
}

// writeBatches commits what waits, all of it at once, until there will be no more.
func (s *sqlite) writeBatches() {
	var batch []record
	for r := range s.records {
		batch = append(batch[:0], r)
		for len(s.records) > 0 {
			batch = append(batch, <-s.records)
		}
		err := s.commit(batch)
		for _, r := range batch {
			r.reply <- err
		}
	}
}

func (s *sqlite) commit(batch []record) error {
	ctx := context.Background()
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	begin, end := tx.StmtContext(ctx, s.begin), tx.StmtContext(ctx, s.end)
	for _, r := range batch {
		if r.start {
			_, err = begin.ExecContext(ctx, r.item, int64(r.hash))
		} else {
			_, err = end.ExecContext(ctx, r.item)
		}
		if err != nil {
			return errors.Join(err, tx.Rollback())
		}
	}
	return tx.Commit()
}

func (s *sqlite) close() error {
	if s.records != nil {
		close(s.records)
		s.writer.Wait()
	}
	return errors.Join(s.begin.Close(), s.end.Close(), s.db.Close())
}

func loadSQLite(dir string) (map[int]status, error) {
	s, err := openSQLite(dir, off, 1)
	if err != nil {
		return nil, err
	}
	all := map[int]status{}
	err = s.(*sqlite).each(func(item int, s status) { all[item] = s })
	return all, errors.Join(err, s.close())
}

// each calls fn with every item on record.
func (s *sqlite) each(fn func(item int, s status)) error {
	rows, err := s.db.QueryContext(context.Background(), "SELECT item, state, hash, starts FROM items ORDER BY item")
	if err != nil {
		return err
	}
	for rows.Next() {
		var item int
		var hash int64
		var s status
		if err := rows.Scan(&item, &s.state, &hash, &s.starts); err != nil {
			return errors.Join(err, rows.Close())
		}
		s.hash = uint64(hash)
		fn(item, s)
	}
	return errors.Join(rows.Err(), rows.Close())
}

func resumeSQLite(dir string) (int, error) {
	s, err := openSQLite(dir, off, 1)
	if err != nil {
		return 0, err
	}
	done := 0
	err = s.(*sqlite).each(func(_ int, s status) {
		if s.state == 2 {
			done++
		}
	})
	return done, errors.Join(err, s.close())
}
