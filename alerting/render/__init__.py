"""`marketplace relay render`: messages drawn without sending them."""
