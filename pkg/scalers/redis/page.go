package redis

import (
	"maps"

	"github.com/weir-sh/weir/pkg/scalers"
)

func (d deployment) listPage() scalers.Page {
	return scalers.Page{
		Measures: "The number of items in the key: `LLEN` of a list, `SCARD` of a set, `ZCARD` of a sorted set, `HLEN` of a hash. " +
			"A key that does not exist counts 0. Items that a consumer has taken out and is still working on are not counted, " +
			"so a queue can read 0 while work goes on; keep `cooldownPeriod` longer than one item takes, or use a stream. " +
			"The workload is active when the number is greater than `activationListLength`.",
		Permissions: d.permissions("`+llen`. For keys that are no lists also `+type` and `+scard`, `+zcard` or `+hlen`", "jobs") + d.extra(),
		Batching: d.batching("Keys that are known to be sets, sorted sets or hashes are asked with their own command at once; " +
			"the type is asked for only after a `WRONGTYPE`. No script is run on the server."),
		Failures: "A key that holds a string, a stream or anything else without items is an error of that trigger alone, which says what the key holds. " + d.failures(),
	}
}

func (d deployment) streamPage() scalers.Page {
	return scalers.Page{
		Measures: "One of three numbers, chosen by the parameters. " +
			"Without `consumerGroup`: the length of the stream (`XLEN`), 0 when it does not exist; entries stay in a stream after they are handled, so this suits streams that consumers trim. " +
			"With `consumerGroup`: the entries delivered to its consumers and not acknowledged (`XPENDING`); entries nobody has read yet are not counted, so nothing wakes from zero by this number. " +
			"With `consumerGroup` and a `lagCount` other than 0: the entries not yet delivered to the group (`lag` of `XINFO GROUPS`, Redis 7 or later), compared with `lagCount`. " +
			"When the server cannot tell the lag, because entries were deleted out of order or the group began at an ID of its own, it counts 0. " +
			"When the group does not exist, or the server refuses `XINFO GROUPS`, the length of the whole stream stands for the lag; when the stream does not exist, 0. " +
			"The workload is active when the number is greater than `activationLagCount`, in all three modes.",
		Permissions: d.permissions("`+xlen`; with a consumer group also `+xpending`, or `+xinfo|groups` and `+info` for `lagCount`", "orders") + d.extra(),
		Batching: d.batching("Streams whose group does not exist cost one command more. The server's version is asked once per connection, for `lagCount` only. " +
			"Only new entries wake a workload: reading and acknowledging change a group but not its stream."),
		Failures: "A stream or group that does not exist is an error (`NOGROUP`) of a trigger that counts pending entries; create both before the consumers start, with `XGROUP CREATE ... MKSTREAM`. " +
			"`lagCount` against a server older than Redis 7, or one that does not tell its version, is an error of that trigger. " + d.failures(),
	}
}

func (d deployment) permissions(commands, key string) string {
	return "The user needs read access to the keys (`~" + key + "` or a pattern, `%R~" + key + "` from Redis 7 on) and the commands `+ping` and " + commands + ". " +
		"To wake a workload the moment a key changes it also needs `+hello` and `+client|tracking`; without them triggers are polled only. " +
		"`+client|setname` is used when allowed, to show up as weir in `CLIENT LIST`; `+select` is needed for a `databaseIndex` other than 0."
}

func (d deployment) extra() string {
	switch d {
	case cluster:
		return " In a cluster also `+cluster|slots`, on every node."
	case sentinel:
		return " The sentinels' user, if they have one, needs `+ping`, `+subscribe` with the channels `&+switch-master` and `&+replica-reconf-done`, and " +
			"`+sentinel|get-master-addr-by-name`, `+sentinel|sentinels`."
	case standalone:
	}
	return ""
}

func (d deployment) batching(more string) string {
	connections := "One connection to the server polls and one more waits for changes"
	switch d {
	case cluster:
		connections = "One connection to each master polls and one more to each waits for changes"
	case sentinel:
		connections = "One connection to the master polls and one more waits for changes; two to a sentinel follow failovers"
	case standalone:
	}
	return connections + ", however many triggers share the same settings. " +
		"1,000 keys cost one round trip: 10,000 triggers are 10 pipelines. " + more +
		" A change is signalled by the server through `CLIENT TRACKING` and needs no setting there; a key that changes all the time is looked at again at most every 3.2 seconds by that way."
}

func (d deployment) failures() string {
	out := "A refused login (`WRONGPASS`, `NOAUTH`) or a server that cannot be reached, is loading or is out of service fails all triggers with the same settings; " +
		"a command or key that the ACL refuses (`NOPERM`) fails that trigger alone. "
	switch d {
	case cluster:
		return out + "When one master is gone, only the keys it holds fail. A server that is not part of a cluster is an error: use the type without `-cluster`."
	case sentinel:
		return out + "During a failover the triggers fail until a sentinel names the new master. A wrong `sentinelMaster` shows as a master nobody knows."
	case standalone:
	}
	return out + "`MOVED` means that the server is part of a cluster: use the type with `-cluster`."
}

// examples are a minimal trigger, and one as in production: with a login, TLS
// and thresholds.
func (d deployment) examples(minimal, thresholds map[string]string) []scalers.Example {
	address := map[string]string{"address": "redis.default.svc:6379"}
	login := map[string]string{"username": "weir", "password": "<password>", "ca": "<PEM>"}
	switch d {
	case cluster:
		address = map[string]string{"addresses": "redis-0.redis.default.svc:6379,redis-1.redis.default.svc:6379"}
	case sentinel:
		address = map[string]string{"addresses": "sentinel-0.redis.default.svc:26379,sentinel-1.redis.default.svc:26379", "sentinelMaster": "main"}
		login["sentinelPassword"] = "<password>"
	case standalone:
	}
	small := maps.Clone(minimal)
	maps.Copy(small, address)
	large := maps.Clone(small)
	maps.Copy(large, thresholds)
	large["enableTLS"] = "true"
	return []scalers.Example{
		{Title: "Minimal", Metadata: small},
		{Title: "Production", Metadata: large, Auth: login},
	}
}
