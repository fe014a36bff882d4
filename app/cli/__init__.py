"""The `marketplace` command."""
