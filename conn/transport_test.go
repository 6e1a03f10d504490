package conn

import "testing"

func TestSoundRings(t *testing.T) {
	for _, c := range []struct {
		release string
		sound   bool
	}{
		{"", false}, {"6", false}, {"6.1.0", false}, {"6.14.11", false}, {"6.18", false}, {"6.18.38", false},
		{"6.18.39", true}, {"6.18.44-fc-v657", true}, {"6.18.100+", true}, {"6.19.8", false}, {"7.0.12", false},
		{"7.1", false}, {"7.1.3", false}, {"7.1.4", true}, {"7.2.0-rc1", true}, {"7.3", true}, {"10.0.1", true},
		{"5.718.39", false}, {"x", false},
	} {
		if got := soundRings(c.release); got != c.sound {
			t.Errorf("%q: %v", c.release, got)
		}
	}
}

func TestPossibleCPUs(t *testing.T) {
	for list, want := range map[string]int{"0\n": 1, "0-1\n": 2, "0-3,8-11,64": 9, "2": 1, "": 0, "x": 0, "3-1": 0, "0-": 0, "0,": 0} {
		if got := possibleCPUs(list); got != want {
			t.Errorf("%q: %d, want %d", list, got, want)
		}
	}
	if n := readPossibleCPUs(); n < 1 {
		t.Errorf("%d CPUs here", n)
	}
}
