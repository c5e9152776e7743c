package hostnode

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	v1 "k8s.io/api/core/v1"
)

// maxMessage is the length of a termination message taken from a log, in bytes.
const maxMessage = 2048

// tokenMount is where admission mounts a service account token in every pod.
const tokenMount = "/var/run/secrets/kubernetes.io/serviceaccount"

// launch starts the runs of one container. Its fields describe the newest one.
type launch struct {
	worker *worker
	spec   *v1.Container

	dir    string
	vars   []string
	log    string // the file of all runs
	offset int64  // where this run's part of it begins
}

// start starts a run. The error is a *problem.
func (l *launch) start(ctx context.Context) (run, error) {
	w := l.worker
	if err := unsupported(l.spec); err != nil {
		return nil, &problem{reasonConfigError, err}
	}
	vars, err := environment(ctx, w.node.store, w.pod, l.spec, w.baseVars())
	if err != nil {
		return nil, &problem{reasonConfigError, err}
	}
	line := commandLine(l.spec, vars)
	if len(line) == 0 {
		return nil, &problem{reasonCreateError, errors.New("the container has no command, and host nodes have no images that could give one; set command")}
	}
	l.vars, l.dir = list(vars), w.dir
	if l.spec.WorkingDir != "" {
		l.dir = l.spec.WorkingDir
	}
	log, err := l.openLog()
	if err != nil {
		return nil, &problem{reasonCreateError, err}
	}
	//nolint:noctx // it ends by its grace period, not with ctx
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Dir, cmd.Env = l.dir, l.vars
	cmd.Stdout, cmd.Stderr = log, log
	p, err := w.node.opts.Launcher.Start(cmd)
	if err := errors.Join(err, log.Close()); err != nil {
		return nil, &problem{reasonCreateError, fmt.Errorf("starting the command: %w", err)}
	}
	return p, nil
}

// openLog opens the container's log at its end.
func (l *launch) openLog() (*os.File, error) {
	pod := l.worker.pod
	l.log = filepath.Join(l.worker.node.opts.LogDir, fmt.Sprintf("%s_%s_%s.log", pod.Namespace, pod.Name, l.spec.Name))
	f, err := os.OpenFile(l.log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the log: %w", err)
	}
	l.offset, err = f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening the log: %w", err), f.Close())
	}
	return f, nil
}

// message is the end of the log of a run that failed, where the container
// asks for that. A termination message file cannot be had without mounts.
func (l *launch) message(exitCode int32) string {
	if exitCode == 0 || l.spec.TerminationMessagePolicy != v1.TerminationMessageFallbackToLogsOnError {
		return ""
	}
	tail, err := readTail(l.log, l.offset)
	if err != nil {
		return "reading the log: " + err.Error()
	}
	return strings.ToValidUTF8(tail, "")
}

// readTail returns at most the last maxMessage bytes after the offset.
func readTail(path string, offset int64) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return "", errors.Join(err, f.Close())
	}
	offset = max(offset, size-maxMessage)
	tail, err := io.ReadAll(io.NewSectionReader(f, offset, size-offset))
	return string(tail), errors.Join(err, f.Close())
}

// unsupported returns why a plain process cannot be this container. What is
// merely not done, like liveness probes, is in warnings.
func unsupported(c *v1.Container) error {
	for _, m := range c.VolumeMounts {
		if m.MountPath != tokenMount {
			return fmt.Errorf("mounting volume %q at %s: pods of host nodes are plain processes and have no volumes; use env, or the working directory, which is the pod's own", m.Name, m.MountPath)
		}
	}
	if len(c.VolumeDevices) > 0 {
		return errors.New("attaching volume devices: pods of host nodes are plain processes and have no volumes")
	}
	if c.RestartPolicy != nil && *c.RestartPolicy == v1.ContainerRestartPolicyAlways {
		return errors.New("starting a sidecar (an init container that restarts always): host nodes do not support it; make it an ordinary container")
	}
	return nil
}

// warnings lists what a pod asks for and host nodes do not do.
func warnings(pod *v1.Pod) []string {
	var all []string
	if pod.Spec.ActiveDeadlineSeconds != nil {
		all = append(all, "activeDeadlineSeconds of the pod is not observed")
	}
	for _, c := range pod.Spec.Containers {
		if c.LivenessProbe != nil || c.StartupProbe != nil {
			all = append(all, "liveness and startup probes of container "+c.Name+" are not run")
		}
		if c.Lifecycle != nil {
			all = append(all, "lifecycle hooks of container "+c.Name+" are not run")
		}
	}
	return all
}
