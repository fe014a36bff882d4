"""Load, fake agents and their judgement; talks HTTP and imports nothing of the product."""
