package apps

import (
	"fmt"
	"os/exec"
	"strings"
)

// sqliteScene: four sqlite3 processes write to one database at once, in each
// journal mode; nothing is lost and nothing is damaged. WAL needs a shared
// mapping of the -shm file and byte-range locks on it.
func sqliteScene(s *scene) {
	const writers, rows = 4, 30
	for _, mode := range []string{"delete", "truncate", "persist", "wal"} {
		db := mode + ".db"
		s.say("%s", s.run("sqlite3", db, "PRAGMA journal_mode="+mode+"; CREATE TABLE t(id INTEGER PRIMARY KEY, w INT, n INT, b BLOB); CREATE INDEX i ON t(w, n);"))
		var cmds []*exec.Cmd
		var outs []*strings.Builder
		for w := range writers {
			var in strings.Builder
			in.WriteString(".bail on\n.timeout 60000\n")
			for n := range rows {
				// BEGIN IMMEDIATE: a writer that waits instead of one that
				// finds its snapshot outdated.
				fmt.Fprintf(&in, "BEGIN IMMEDIATE; INSERT INTO t(w, n, b) VALUES(%d, %d, randomblob(700)); COMMIT;\n", w, n)
				if n%10 == 9 {
					fmt.Fprintf(&in, "SELECT count(*) FROM t WHERE w = %d;\n", w)
				}
			}
			cmd := s.command("sqlite3", db)
			cmd.Stdin = strings.NewReader(in.String())
			out := &strings.Builder{}
			cmd.Stdout, cmd.Stderr = out, out
			s.check(cmd.Start())
			cmds, outs = append(cmds, cmd), append(outs, out)
		}
		for w, cmd := range cmds {
			if err := cmd.Wait(); err != nil {
				s.fail("%s, writer %d: %v\n%s", mode, w, err, outs[w])
			}
			s.say("%s writer %d: %q", mode, w, outs[w])
		}
		s.say("%s", s.run("sqlite3", db, "PRAGMA integrity_check; SELECT w, count(*), count(DISTINCT n), sum(length(b)) FROM t GROUP BY w; PRAGMA journal_mode;"))
		// A transaction that ends without COMMIT leaves nothing.
		s.run("sqlite3", db, "BEGIN; DELETE FROM t;")
		s.say("%s", s.run("sqlite3", db, "SELECT count(*) FROM t; UPDATE t SET b = zeroblob(5000) WHERE n % 2; VACUUM; PRAGMA integrity_check; SELECT count(*), sum(length(b)) FROM t;"))
		s.say("%s", s.run("sh", "-c", "ls "+db+"* | grep -v journal"))
	}
}
