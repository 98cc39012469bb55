package journal

// File and FileSystem are what tests put in the place of the system's.
type (
	File       = file
	FileSystem = fileSystem
)

// On makes a journal use fs.
func (o Options) On(fs FileSystem) Options {
	o.fs = fs
	return o
}

// PageItems is where the memory of items is divided.
const PageItems = pageItems

// Encode returns the line of r, with its newline.
func Encode(r Record) []byte { return encode(nil, r) }
