module github.com/toller-go/toller/examples

go 1.26.0

require github.com/toller-go/toller v0.0.0

replace github.com/toller-go/toller => ../
