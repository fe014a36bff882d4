"""The product: domain, storage, agents, queue producer, use cases, HTTP API, metrics and settings."""
