"""Generated files: `python -m deploy.artifacts` writes those of `deploy.artifacts.files` and prints their paths."""
