"""Files of the stack in containers, deploy/compose.yaml, and the command that makes its secrets."""
