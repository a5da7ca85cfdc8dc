// Command processes runs the services of the compose file as plain processes:
// deploy/up and deploy/down call it.
package main

import (
	"os"

	"gatehouse/deploy"
)

func main() { os.Exit(deploy.Run(os.Args[1:], os.Stdout, os.Stderr)) }
