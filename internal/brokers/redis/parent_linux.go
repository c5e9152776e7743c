package redis

import (
	"os/exec"
	"syscall"
)

// dieWithParent has the kernel end the child when this process ends, however
// that happens. Strictly it is when the starting thread ends, which the Go
// runtime leaves running unless a goroutine was locked to it.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
