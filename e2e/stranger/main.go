// Command stranger is what a local user calls containerd, kubelet or conmon on a node of the test. It sleeps; run as root, by
// whomever, it leaves a mark beside itself. Asked for its version, as who is fooled asks, it tells one.
package main

import (
	"fmt"
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
	time.Sleep(time.Hour)
}
