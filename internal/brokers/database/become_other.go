//go:build !linux

package database

import "os/exec"

// become does nothing: only Linux can tie a child's life to its parent's, and
// servers are run as root only there.
func (h *Host) become(*exec.Cmd) {}
