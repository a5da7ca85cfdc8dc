// Package programtest finds the programs of others that tests run against: a broker, a TPM
// in software. A machine that has Go alone does without them, and says so; .ci/run installs
// them and requires them.
package programtest

import (
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
)

// Required is the variable of the environment that makes the absence of a program a failure.
const Required = "GATEHOUSE_TEST_PROGRAMS"

var told sync.Map // by name: the absence is told once

// Find gives the path of a program. Where it is absent the test is not run, and standard
// error says so; it fails where all programs are required. pkg is the package of Debian
// that has the program.
func Find(t testing.TB, name, pkg string) string {
	t.Helper()
	for _, dir := range []string{"", "/usr/sbin/", "/usr/local/sbin/"} {
		if path, err := exec.LookPath(dir + name); err == nil {
			return path
		}
	}
	why := fmt.Sprintf("%s is not installed (apt-get install %s): tests that need it are not run", name, pkg)
	if os.Getenv(Required) == "required" {
		t.Fatal(why)
	}
	if _, before := told.LoadOrStore(name, true); !before {
		fmt.Fprintln(os.Stderr, why)
	}
	t.Skip(why)
	return ""
}
