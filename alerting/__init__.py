"""Alert rules, messages and the relay."""
