package conformance

import "testing"

// TestCasesAreMany keeps the generators from quietly yielding nothing, and
// names from meaning two cases.
func TestCasesAreMany(t *testing.T) {
	seen := map[string]bool{}
	for _, g := range groups {
		tests := g.make()
		t.Logf("%s: %d cases", g.name, len(tests))
		if len(tests) < 700 {
			t.Errorf("%s: only %d cases", g.name, len(tests))
		}
		for _, c := range tests {
			if seen[c.name] {
				t.Errorf("two cases are called %s", c.name)
			}
			seen[c.name] = true
		}
	}
}
