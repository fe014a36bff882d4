"""deploy/compose.yaml, run for real on a Docker of its own that reaches nothing: `make compose-check`."""
