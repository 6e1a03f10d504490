package conntest

// Write is the server's write(2), past conn.
func (k *Kernel) Write(b []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return errno(k.write(b))
}
