package main

import (
	"os"
)

// natsFlags say how an external cluster is reached, for the verbs that stand on one.
type natsFlags struct {
	NATSURL         string `name:"nats-url" env:"GATEHOUSE_NATS_URL" placeholder:"URL" group:"External NATS:" help:"Use this NATS cluster instead of the embedded server."`
	NATSCreds       string `name:"nats-creds" env:"GATEHOUSE_NATS_CREDS" placeholder:"FILE" group:"External NATS:" help:"Credentials of the account that holds the streams."`
	NATSSystemCreds string `name:"nats-system-creds" env:"GATEHOUSE_NATS_SYSTEM_CREDS" placeholder:"FILE" group:"External NATS:" help:"Credentials of the system account, to check the servers' settings."`
	NATSNkey        string `name:"nats-nkey" env:"GATEHOUSE_NATS_NKEY" placeholder:"FILE" group:"External NATS:" help:"Seed of the nkey of a user of that account, where the servers' configuration lists users."`
	NATSSystemNkey  string `name:"nats-system-nkey" env:"GATEHOUSE_NATS_SYSTEM_NKEY" placeholder:"FILE" group:"External NATS:" help:"Seed of the nkey of a user of the system account."`
	NATSTLSCA       string `name:"nats-tls-ca" env:"GATEHOUSE_NATS_TLS_CA" placeholder:"FILE" group:"External NATS:" help:"Authority of the servers' certificates (PEM)."`
	NATSTLSCert     string `name:"nats-tls-cert" env:"GATEHOUSE_NATS_TLS_CERT" placeholder:"FILE" group:"External NATS:" help:"Certificate of this client (PEM)."`
	NATSTLSKey      string `name:"nats-tls-key" env:"GATEHOUSE_NATS_TLS_KEY" placeholder:"FILE" group:"External NATS:" help:"Key of that certificate (PEM)."`
	Replicas        int    `env:"GATEHOUSE_REPLICAS" default:"1" enum:"1,3,5" group:"External NATS:" help:"Copies of the streams: 1, 3 or 5."`
}

func (f natsFlags) nats() natsConfig {
	return natsConfig{URL: f.NATSURL, Creds: f.NATSCreds, SystemCreds: f.NATSSystemCreds, Nkey: f.NATSNkey, SystemNkey: f.NATSSystemNkey,
		CA: f.NATSTLSCA, Cert: f.NATSTLSCert, Key: f.NATSTLSKey, Replicas: f.Replicas}
}

// vaultKeyFlag says where the master key of personal data is.
type vaultKeyFlag struct {
	VaultKeyFile string `env:"GATEHOUSE_VAULT_KEY_FILE" placeholder:"FILE" help:"Read the master key of personal data here instead of from GATEHOUSE_VAULT_KEY."`
}

// text is the master key as it was given. Empty means that it is in the data directory,
// if anywhere.
func (f vaultKeyFlag) text() (string, error) {
	if f.VaultKeyFile == "" {
		return os.Getenv("GATEHOUSE_VAULT_KEY"), nil
	}
	text, err := readSecret(f.VaultKeyFile)
	if err != nil {
		return "", usage("--vault-key-file: %v", err)
	}
	return text, nil
}
