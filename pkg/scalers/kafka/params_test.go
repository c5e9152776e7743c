package kafka_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/kafka"
	"github.com/weir-sh/weir/pkg/scalers/param"
	"github.com/weir-sh/weir/pkg/scalers/scalertest"
)

func TestVectors(t *testing.T) { scalertest.KnownAnswers(t, 38, kafka.Scalers()...) }

// values are those of a trigger on topic "t", without what is set to "".
func values(auth map[string]string, metadata ...string) param.Values {
	m := meta("bootstrapServers", "k:9092", "consumerGroup", "g", "topic", "t")
	maps.Copy(m, meta(metadata...))
	return param.Values{Metadata: m, Auth: auth}
}

func TestRefusedParameters(t *testing.T) {
	oauth := meta("username", "u", "password", "p", "oauthTokenEndpointUri", "https://t/")
	for _, c := range []struct {
		name, typ string
		v         param.Values
		want      string
	}{
		{"no broker", "kafka", values(meta("bootstrapServers", "k:1"), "bootstrapServers", ""), `parameter "bootstrapServers" is required; set it in the trigger's metadata, or through bootstrapServersFromEnv, naming a variable that the workload's container sets`},
		{"idle and partitions with lag", "kafka", values(nil, "limitToPartitionsWithLag", "true", "allowIdleConsumers", "true"), `parameter "limitToPartitionsWithLag" cannot be combined with "allowIdleConsumers"; keep one of them`},
		{"idle and partitions with lag", "apache-kafka", values(nil, "limitToPartitionsWithLag", "true", "allowIdleConsumers", "true"), `parameter "limitToPartitionsWithLag" cannot be combined with "allowIdleConsumers"; keep one of them`},
		{"partitions with lag without a topic", "apache-kafka", values(nil, "limitToPartitionsWithLag", "true", "topic", ""), `parameter "limitToPartitionsWithLag" needs a topic`},
		{"metadata without a topic", "kafka", values(nil, "fullMetadata", "false", "topic", ""), `parameter "fullMetadata" can be "false" only with a topic`},
		{"version", "kafka", values(nil, "version", "3.6.0-rc1"), `parameter "version" must be a release of Kafka, such as 3.6.0 or 0.11.0.2`},
		{"scram without a user", "kafka", values(nil, "sasl", "scram_sha256"), "parameter \"password\" is required as an authentication parameter for this way to log in\nparameter \"username\" is required as an authentication parameter for this way to log in"},
		{"oauthbearer in apache-kafka", "apache-kafka", values(oauth, "sasl", "oauthbearer"), `parameter "sasl" must be one of none, plaintext, scram_sha256, scram_sha512, gssapi, aws_msk_iam`},
		{"a list of ways to log in", "kafka", values(oauth, "sasl", "plaintext,none"), `parameter "sasl" must be one of none, plaintext, scram_sha256, scram_sha512, oauthbearer, gssapi`},
		{"sasl in two places", "apache-kafka", values(meta("sasl", "none"), "sasl", "none"), `parameter "sasl" is set both in metadata and in authentication; keep one`},
		{"MSK without anything", "kafka", values(nil, "sasl", "oauthbearer", "saslTokenProvider", "aws_msk_iam"), "parameter \"awsRegion\" is required\nparameter \"tls\" must be \"enable\" to log in by AWS IAM"},
		{"Kerberos without anything", "kafka", values(nil, "sasl", "gssapi"), "parameter \"kerberosConfig\" is required as an authentication parameter for this way to log in\nparameter \"keytab\" or \"password\" is required to log in by Kerberos, and not both\nparameter \"realm\" is required as an authentication parameter for this way to log in\nparameter \"username\" is required as an authentication parameter for this way to log in"},
		{"two mistakes are told together", "kafka", values(nil, "lagThreshold", "0", "partitionLimitation", "a"), "parameter \"lagThreshold\" must be a whole number of at least 1\nparameter \"partitionLimitation\" must be partition numbers and ranges such as 1,2,10-12"},
	} {
		t.Run(c.typ+"/"+c.name, func(t *testing.T) {
			_, _, err := definition(t, c.typ).Parse(c.v)
			if got := fmt.Sprint(err); got != c.want {
				t.Errorf("error %s\nwant  %s", got, c.want)
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	for _, c := range []struct {
		name, typ string
		v         param.Values
		want      []string
	}{
		{"none", "kafka", values(nil), nil},
		{"no topic", "kafka", values(nil, "topic", ""), []string{`parameter "topic" is not set: all topics of the cluster count until the group has committed an offset; name the topic to be sure what is counted`}},
		{"no topic", "apache-kafka", values(nil, "topic", ""), []string{`parameter "topic" is not set: all topics of the cluster count, and measuring fails while the group has no active member; name the topic to be sure what is counted`}},
		{"several topics in kafka", "kafka", values(nil, "topic", "a,b"), []string{`parameter "topic" holds a comma, which no topic's name has; the type apache-kafka takes several topics`}},
		{"a limitation without a topic", "kafka", values(nil, "topic", "", "partitionLimitation", "1"), []string{`parameter "partitionLimitation" is ignored without a topic`, `parameter "topic" is not set: all topics of the cluster count until the group has committed an offset; name the topic to be sure what is counted`}},
		{"an empty limitation", "kafka", values(nil, "partitionLimitation", "4-2"), []string{`parameter "partitionLimitation" holds no partition: its range begins after its end; measuring fails`}},
		{"an empty limitation", "apache-kafka", values(nil, "partitionLimitation", "4-2"), []string{`parameter "partitionLimitation" holds no partition: its range begins after its end; all partitions count`}},
		{"certificates without tls", "kafka", values(meta("ca", "c")), []string{`parameter "tls" is not "enable", so that certificates given have no effect and traffic is not encrypted`}},
		{"a user without sasl", "kafka", values(meta("username", "u", "password", "p")), []string{`parameter "username" has no effect without "sasl"`}},
		{"a password in the clear", "kafka", values(meta("username", "u", "password", "p"), "sasl", "plaintext"), []string{`parameter "sasl" sends the credentials in plain text without TLS; set "tls" to "enable"`}},
		{"Kerberos in apache-kafka", "apache-kafka", values(nil, "sasl", "gssapi"), []string{`parameter "sasl" is "gssapi", which this type accepts and cannot connect by; use the type kafka`}},
		{"scram without a user in apache-kafka", "apache-kafka", values(nil, "sasl", "scram_sha512"), []string{`parameter "username" and password are needed; connecting fails without them`}},
	} {
		t.Run(c.typ+"/"+c.name, func(t *testing.T) {
			_, warnings, err := definition(t, c.typ).Parse(c.v)
			var got []string
			for _, w := range warnings {
				got = append(got, w.String())
			}
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("warnings %q, %v\nwant %q", got, err, c.want)
			}
		})
	}
}

func TestWhatIsSharedAndWhatIsNot(t *testing.T) {
	plain, def := meta("username", "u", "password", "p"), definition(t, "kafka")
	for _, c := range []struct {
		name                  string
		a, b                  param.Values
		sameSource, sameQuery bool
	}{
		{"another activation", values(nil), values(nil, "activationLagThreshold", "7"), true, true},
		{"another threshold, bounded", values(nil), values(nil, "lagThreshold", "7"), true, false},
		{"another threshold, unbounded", values(nil, "allowIdleConsumers", "true"), values(nil, "allowIdleConsumers", "true", "lagThreshold", "7"), true, true},
		{"another activation, evenly", values(nil, "ensureEvenDistributionOfPartitions", "1"), values(nil, "ensureEvenDistributionOfPartitions", "1", "activationLagThreshold", "7"), true, false},
		{"another group", values(nil), values(nil, "consumerGroup", "h"), true, false},
		{"defaults, written out", values(nil), values(nil, "offsetResetPolicy", "latest", "tls", "disable", "sasl", "none", "fullMetadata", "true"), true, true},
		{"spaces in the list of brokers", values(nil, "bootstrapServers", "a:1,b:1"), values(nil, "bootstrapServers", " a:1 , b:1"), true, true},
		{"the same partitions", values(nil, "partitionLimitation", "1-1, 2"), values(nil, "partitionLimitation", "1,2-2"), true, true},
		{"another version", values(nil), values(nil, "version", "2.8.0"), false, false},
		{"another password", values(plain, "sasl", "plaintext"), values(meta("username", "u", "password", "x"), "sasl", "plaintext"), false, false},
		{"a password that is not used", values(nil), values(plain), true, true},
		{"keys that are not used", values(nil), values(meta("awsRoleArn", "arn:x", "keytab", "k", "oauthTokenEndpointUri", "https://t/")), true, true},
		{"certificates that do not apply", values(nil), values(meta("ca", "PEM"), "unsafeSsl", "true"), true, true},
		{"a service name that does not apply", values(nil), values(meta("kerberosServiceName", "x")), true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got [2]scalers.Trigger
			for i, v := range []param.Values{c.a, c.b} {
				trigger, _, err := def.Parse(v)
				if err != nil {
					t.Fatal(err)
				}
				got[i] = trigger
			}
			if same := got[0].Source == got[1].Source; same != c.sameSource {
				t.Errorf("same source: %v, want %v", same, c.sameSource)
			}
			if same := got[0].Query == got[1].Query; same != c.sameQuery {
				t.Errorf("same query: %v, want %v", same, c.sameQuery)
			}
		})
	}
}

func TestMSKIsSharedWithinItsNamespaceOnly(t *testing.T) {
	sources, def := map[scalers.SourceKey]bool{}, definition(t, "kafka")
	for _, namespace := range []string{"a", "b", "a"} {
		v := values(nil, "tls", "enable", "sasl", "oauthbearer", "saslTokenProvider", "aws_msk_iam", "awsRegion", "eu-west-1")
		v.Identity, v.Namespace = param.Identity{Provider: "aws"}, namespace
		trigger, _, err := def.Parse(v)
		if err != nil {
			t.Fatal(err)
		}
		sources[trigger.Source] = true
	}
	if len(sources) != 2 {
		t.Errorf("%d sources, want one for each namespace", len(sources))
	}
}
