package database

import (
	"os/exec"
	"syscall"
)

// become runs the child as the host's user, and has the kernel end it when this
// process ends, however that happens.
func (h *Host) become(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if h.as != nil {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: h.as.uid, Gid: h.as.gid}
	}
}
