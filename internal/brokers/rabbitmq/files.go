package rabbitmq

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// writeFiles writes what the broker reads when it starts. Data stays.
func (s *Server) writeFiles() error {
	for _, d := range []string{"log", "mnesia", "home"} {
		if err := os.MkdirAll(filepath.Join(s.dir, d), 0o750); err != nil {
			return err
		}
	}
	conf := append([]string{
		"listeners.tcp.default = " + loopback(s.amqp),
		"management.tcp.ip = 127.0.0.1",
		fmt.Sprintf("management.tcp.port = %d", s.management),
		"management.rates_mode = basic",
		// The smallest interval, so that tests of rates need not wait long.
		"collect_statistics_interval = 1000",
		"loopback_users.guest = true",
		"vm_memory_high_watermark.absolute = 1GB",
		"disk_free_limit.absolute = 50MB",
		"log.console = false",
		"log.file = " + filepath.Join(s.dir, "log", "rabbit.log"),
	}, s.config...)
	if err := os.WriteFile(filepath.Join(s.dir, "rabbitmq.conf"), []byte(strings.Join(conf, "\n")+"\n"), 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.dir, "enabled_plugins"), []byte("[rabbitmq_management].\n"), 0o600)
}

// env is the whole environment of broker and rabbitmqctl: nothing is inherited,
// so that a system's RabbitMQ settings cannot leak in.
func (s *Server) env() []string {
	in := func(name string) string { return filepath.Join(s.dir, name) }
	return []string{
		"PATH=" + s.bin + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"LANG=C.UTF-8",
		"HOME=" + in("home"), // holds the Erlang cookie
		fmt.Sprintf("RABBITMQ_NODENAME=weir%d@localhost", s.amqp),
		"RABBITMQ_USE_LONGNAME=false",
		"RABBITMQ_BASE=" + s.dir,
		"RABBITMQ_CONFIG_FILE=" + in("rabbitmq"), // without its suffix
		"RABBITMQ_CONF_ENV_FILE=" + in("none"),
		"RABBITMQ_GENERATED_CONFIG_DIR=" + in("generated"),
		"RABBITMQ_MNESIA_BASE=" + in("mnesia"),
		"RABBITMQ_LOG_BASE=" + in("log"),
		"RABBITMQ_ENABLED_PLUGINS_FILE=" + in("enabled_plugins"),
		"RABBITMQ_PID_FILE=" + in("pid"),
		fmt.Sprintf("RABBITMQ_DIST_PORT=%d", s.dist),
		fmt.Sprintf("ERL_EPMD_PORT=%d", s.epmd),
		"ERL_EPMD_ADDRESS=127.0.0.1",
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel inet_dist_use_interface {127,0,0,1} +sbwt none",
		// The script then becomes the Erlang machine instead of watching over it:
		// the child is what the signals are for.
		"RUNNING_UNDER_SYSTEMD=true",
	}
}
