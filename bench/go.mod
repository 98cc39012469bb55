module github.com/toller-go/toller/bench

go 1.26.0

require github.com/toller-go/toller v0.0.0

replace github.com/toller-go/toller => ../
