package cli

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
)

func versionCommand(c Config) *cobra.Command {
	var output format
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Long:  "Version prints the version of this program, of Go, and the platform it was built for.",
		Example: `  weir version
  weir version -o json`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			platform := runtime.GOOS + "/" + runtime.GOARCH
			if output == formatJSON {
				return writeJSON(cmd.OutOrStdout(), map[string]string{"version": c.Version, "go": runtime.Version(), "platform": platform})
			}
			return write(cmd.OutOrStdout(), fmt.Sprintf("weir %s (%s, %s)\n", c.Version, runtime.Version(), platform))
		},
	}
	outputFlag(cmd, &output)
	return cmd
}
