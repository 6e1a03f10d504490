// Package hostile is a kernel that keeps no promise: it makes a program of
// requests out of any bytes, sends them to a connection in memory, and checks
// what comes back. The fuzz targets of conn, ops and ops/passfs share it.
//
//	bytes ── Source ──▶ messages ── device ──▶ conn.Conn ──▶ a conn.Handler
//	                                  │ replies: one each, right id, plausible
//
// The same bytes make the same program, up to the order in which requests that
// are in flight together are served.
package hostile
