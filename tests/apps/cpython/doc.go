// Package cpython runs the tests that CPython has for its file modules, as
// Debian packages them, in a served directory.
//
// They run natively and on the mount, as root and as an ordinary user; every
// test must end as it ends natively. What may differ is listed in differ, with
// the reason.
package cpython
