//go:build tiny

package main

import "github.com/fusewire/fusewire/wb"

func writeCache(*options) (*wb.Cache, error) {
	return nil, failure("--wb-cache is not in this program: it was built with -tags tiny")
}
