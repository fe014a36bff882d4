"""Messages: what they say, and how that is drawn for Slack."""
