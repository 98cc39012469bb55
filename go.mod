module github.com/toller-go/toller

go 1.26.0

require github.com/panjf2000/ants/v2 v2.12.1

require (
	github.com/stretchr/testify v1.12.1 // indirect
	golang.org/x/sync v0.11.0 // indirect
)
