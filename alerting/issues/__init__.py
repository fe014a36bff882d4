"""Issues: what signals on one cause come to, and when people are told of it."""
