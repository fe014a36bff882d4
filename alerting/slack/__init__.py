"""The way from the outbox to Slack."""
