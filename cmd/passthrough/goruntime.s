// The functions that goruntime.go declares have their bodies in package runtime;
// a file of assembly tells the compiler not to ask for them.
