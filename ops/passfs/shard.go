package passfs

// nShards is into how many parts the way from identity to inode is split.
const nShards = 64

// shard is one of them: a hash table whose chains are in the inodes themselves,
// which takes a third of the memory of a map.
type shard struct {
	mu   mutex
	n    int
	rows []*inode // a power of 2 of them, linked by inode.chain
	_    [24]byte // one cache line each
}

// hash spreads inode numbers; the top bits choose the shard, those below the row.
func (k *key) hash() uint64 { return k.ino * 0x9e3779b97f4a7c15 }

func (fs *FS) shard(k *key) *shard { return &fs.shards[k.hash()>>58] }

// row returns where the chain of k begins. mu is held, and there are rows.
func (s *shard) row(k *key) **inode { return &s.rows[k.hash()>>20&uint64(len(s.rows)-1)] }

// get returns the inode with key k, nil if there is none. mu is held.
func (s *shard) get(k *key) *inode {
	if s.n == 0 {
		return nil
	}
	for i := *s.row(k); i != nil; i = i.chain {
		if i.key == *k {
			return i
		}
	}
	return nil
}

// put enters i, in place of any other with its key. mu is held.
func (s *shard) put(i *inode) {
	if old := s.get(&i.key); old != nil {
		s.remove(old)
	}
	if s.n == len(s.rows) {
		was := s.rows
		s.rows = make([]*inode, max(2*len(was), 8))
		for _, i := range was {
			for i != nil {
				next := i.chain
				s.link(i)
				i = next
			}
		}
	}
	s.link(i)
	s.n++
}

func (s *shard) link(i *inode) {
	r := s.row(&i.key)
	i.chain, *r = *r, i
}

// remove takes i out, if it is there. mu is held.
func (s *shard) remove(i *inode) {
	if s.n == 0 {
		return
	}
	for p := s.row(&i.key); *p != nil; p = &(*p).chain {
		if *p == i {
			*p, i.chain = i.chain, nil
			s.n--
			return
		}
	}
}

// find returns the inode with key k, one nlookup counted, if it is known and
// certainly the same file; else nil.
func (fs *FS) find(k *key) *inode {
	s := fs.shard(k)
	s.mu.Lock()
	i := s.get(k)
	if i != nil && !(i.held() && fs.nodes.Ref(i.nodeid)) {
		i = nil
	}
	s.mu.Unlock()
	return i
}

// peek is find without counting, for requests that only need to know; it
// also finds inodes that are not held.
func (fs *FS) peek(k *key) *inode {
	s := fs.shard(k)
	s.mu.Lock()
	i := s.get(k)
	s.mu.Unlock()
	return i
}
