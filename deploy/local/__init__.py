"""The whole stack on one machine: supervisor, embedded Valkey, ports."""
