package workload

import (
	"syscall"
	"testing"
	"time"
)

// TestCheckScales fails when the work grows much faster than the number of workloads. It counts the processor's time, which
// what else runs on the machine changes little.
func TestCheckScales(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a second")
	}
	spent := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			t.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	took := func(n int) time.Duration {
		inv, o := large(n)
		best := time.Hour
		for range 3 {
			start := spent()
			Check(inv, o)
			best = min(best, spent()-start)
		}
		return best
	}
	small, big := took(1000), took(8000)
	t.Logf("1,000 workloads: %s; 8,000: %s", small, big)
	if big > 8*3*small+50*time.Millisecond {
		t.Errorf("8 times the workloads take %s instead of %s", big, 8*small)
	}
}
