"""The alert rules: one module per family, and `alerting.rules.groups` puts them together."""
