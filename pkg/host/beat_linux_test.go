package host

import (
	"net"
	"path/filepath"
	"testing"
	"time"
)

// TestBeat: PID 1 gets the limit with every sign of life, and isn't told the same more than once a second.
func TestBeat(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Setenv("NOTIFY_SOCKET", socket)
	u := &linuxUnits{}
	for range 50 {
		u.Beat(2 * time.Minute)
	}
	u.Beat(time.Minute)
	var got []string
	for {
		_ = l.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		b := make([]byte, 200)
		n, err := l.Read(b)
		if err != nil {
			break
		}
		got = append(got, string(b[:n]))
	}
	if len(got) != 2 || got[0] != "WATCHDOG_USEC=120000000\nWATCHDOG=1" || got[1] != "WATCHDOG_USEC=60000000\nWATCHDOG=1" {
		t.Errorf("PID 1 was told %q", got)
	}
}
