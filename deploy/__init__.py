"""Ways to run the product: one machine, containers, clusters."""
