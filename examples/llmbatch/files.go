package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// checkFiles reports what is wrong with the names of the files that are to be written, in the words of the flags. The errors of opening
// them would name other files, such as the lock of a journal, or advise to remove what must stay.
func (s *settings) checkFiles() error {
	in, err := os.Stat(s.in)
	if s.in == "-" || err != nil {
		in = nil
	}
	for _, file := range []struct{ flag, path string }{{"o", s.out}, {"journal", s.journal}} {
		if file.path == "" || file.path == "-" {
			continue
		}
		info, err := os.Stat(file.path)
		switch {
		case err == nil && info.IsDir():
			return fmt.Errorf("-%s is %q, a directory; allowed: a file", file.flag, file.path)
		case err == nil && !info.Mode().IsRegular(): // such as /dev/null, which nobody is to be told to remove
			return fmt.Errorf("-%s is %q, which exists and is no regular file; allowed: a file, or for the output - (stdout)", file.flag, file.path)
		case err == nil && in != nil && os.SameFile(in, info):
			return fmt.Errorf("-%s is %q, the input; allowed: another file than that of -i", file.flag, file.path)
		}
		dir := filepath.Dir(file.path)
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("-%s is %q, and there is no directory %s; allowed: a file in a directory that exists", file.flag, file.path, dir)
		}
	}
	return nil
}
