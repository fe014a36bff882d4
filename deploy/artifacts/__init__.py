"""Generated files: `python -m deploy.artifacts` writes them to their places and prints their paths."""
