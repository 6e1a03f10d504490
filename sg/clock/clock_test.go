package clock

import (
	"math"
	"testing"
	"time"
)

func TestOf(t *testing.T) {
	if Of(nil) != 0 || Of(time.Second) != Second || Of(24*time.Hour) != 24*Hour || Of(Nanos(-1)) != -1 {
		t.Error(Of(nil), Of(time.Second), Of(24*time.Hour), Of(Nanos(-1)))
	}
}

// TestClocks: both clocks agree with package time's.
func TestClocks(t *testing.T) {
	before, begin := time.Now(), Now()
	sec, nsec := Wall()
	end, after := Now(), time.Now()
	if wall := time.Unix(sec, int64(nsec)); wall.Before(before.Round(0)) || wall.After(after.Round(0)) {
		t.Error(wall, "is not between", before, "and", after)
	}
	if d := end - begin; d < 0 || d > int64(after.Sub(before)) {
		t.Errorf("%d ns of %v", d, after.Sub(before))
	}
	if d := Until(begin); d != 0 {
		t.Error("until what has passed:", d)
	}
	if d := Until(Now() + int64(Hour)); d <= 0 || d > Hour {
		t.Error("until in an hour:", d)
	}
}

func TestSleep(t *testing.T) {
	begin := Now()
	Sleep(3 * Millisecond)
	if d := Now() - begin; d < int64(3*Millisecond) {
		t.Error(d)
	}
	Sleep(0)
	Sleep(math.MinInt64)
}

func TestTimer(t *testing.T) {
	c := make(chan int64, 2)
	begin := Now()
	timer := AfterFunc(3*Millisecond, func() { c <- Now() })
	if d := <-c - begin; d < int64(3*Millisecond) {
		t.Error("called after", d)
	}
	if timer.Stop() {
		t.Error("stopped after its time")
	}
	if timer.Reset(Hour) {
		t.Error("was still to go off")
	}
	begin = Now()
	if !timer.Reset(2 * Millisecond) {
		t.Error("was not to go off in an hour")
	}
	if d := <-c - begin; d < int64(2*Millisecond) {
		t.Error("called after", d)
	}
	timer.Reset(math.MinInt64) // at once
	<-c
	timer.Reset(math.MaxInt64)
	if !timer.Stop() {
		t.Error("not stopped")
	}
	if timer.Stop() {
		t.Error("stopped twice")
	}
	Sleep(5 * Millisecond)
	select {
	case <-c:
		t.Error("called all the same")
	default:
	}
}
