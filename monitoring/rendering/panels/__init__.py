"""How each kind of panel is drawn, one module each."""
