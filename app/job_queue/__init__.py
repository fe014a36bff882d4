"""Redis: clients, health and the producer of job hints."""
