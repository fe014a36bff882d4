"""The relay's intake: what it is told over HTTP, checked, read as signals, and on the disk before it answers."""
