// Package backing proves what kernel passthrough is: that with it reads and
// writes reach the source without a request, that it is used where it can be and
// only there, and that nothing else is different.
//
// The server is cmd/passthrough with its default options and -d, which prints
// each request and reply: that is where the tests look.
//
//	test ──read, write──▶ mount ──▶ kernel ──▶ file of the source
//	  │                      └──OPEN, ...──▶ server (-d)
//	  └──────────── what it prints ◀────────────┘
package backing
