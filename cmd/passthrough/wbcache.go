//go:build !tiny

package main

import "github.com/fusewire/fusewire/wb"

// writeCache is for --wb-cache.
func writeCache(o *options) (*wb.Cache, error) {
	o.cache.Log = say
	return wb.New(wb.NewThreads(64, nil), o.cache)
}
