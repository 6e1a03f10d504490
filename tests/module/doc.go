// Package module asserts what holds for the module as a whole: what it depends
// on, and who imports whom.
package module
