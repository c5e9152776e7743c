//go:build !linux

package process

import "syscall"

// dieWithParent does nothing where the kernel cannot: a killed test then leaves
// its broker behind.
func dieWithParent() *syscall.SysProcAttr { return nil }
