"""The circuit breakers of the agents, shared by all processes through Redis."""
