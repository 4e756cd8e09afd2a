// Command stranger is what a local user calls containerd, kubelet or conmon on a node of the test. It sleeps; run as root, by
// whomever, it leaves a mark beside itself. Asked for its version, as who is fooled asks, it tells one. With --listen and an address it
// listens there as soon as it can, and says nothing to whoever comes.
package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"
)

func main() {
	exe, err := os.Executable()
	if err == nil && os.Geteuid() == 0 {
		err = os.WriteFile(exe+".ran-as-root", fmt.Appendln(nil, os.Args), 0o644)
	}
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
	}
	if slices.Contains(os.Args[1:], "--version") {
		fmt.Println(filepath.Base(exe), "version 9.9.9")
		return
	}
	if i := slices.Index(os.Args, "--listen"); i > 0 && i+1 < len(os.Args) {
		squat(os.Args[i+1])
	}
	time.Sleep(time.Hour)
}

// squat takes an address that is another's, in the moment in which he has it not.
func squat(address string) {
	for ; ; time.Sleep(time.Millisecond) {
		l, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		for {
			conn, err := l.Accept()
			if err != nil {
				break
			}
			go func() { _, _ = io.Copy(io.Discard, conn) }()
		}
	}
}
