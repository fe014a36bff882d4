"""Generated reference pages: `python -m deploy.artifacts` writes them under docs/reference/ and prints their paths."""
