package main

import "testing"

func TestAWrongCommandLineIsRefusedWithAllThatIsWrong(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		args []string
		want string
	}{
		{"a plain argument", []string{"now"}, `reading the command line: unexpected argument "now"`},
		{"an unknown flag", []string{"--fast"}, "unknown flag: --fast"},
		{"a user without a name", []string{"--token=:dev"}, `reading --token: reading user ":dev": the name is empty; write NAME:GROUP,GROUP`},
		{"two wrong values", []string{"--host-nodes=-1", "--hpa-sync-period=0s"}, "--host-nodes is negative\n--hpa-sync-period must be above zero"},
		{"kwok without stages", []string{"--kwok-nodes=1"}, "--kwok-nodes needs --kwok-stages"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if _, err := parseFlags(test.args); err == nil || err.Error() != test.want {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}
