"""The container image: its base where no registry can be reached, its build, what is in it."""
