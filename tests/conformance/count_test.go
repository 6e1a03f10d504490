package conformance

import "testing"

// TestCasesAreMany keeps the generators from quietly yielding nothing, and
// names from meaning two cases.
func TestCasesAreMany(t *testing.T) {
	total := 0
	seen := map[string]bool{}
	for _, g := range groups {
		tests := g.make()
		total += len(tests)
		t.Logf("%s: %d cases", g.name, len(tests))
		if len(tests) < 30 {
			t.Errorf("%s: only %d cases", g.name, len(tests))
		}
		for _, c := range tests {
			if seen[c.name] {
				t.Errorf("two cases are called %s", c.name)
			}
			seen[c.name] = true
		}
	}
	if total < 30000 {
		t.Errorf("only %d cases", total)
	}
}
