"""Marketplace agents: HTTP protocols, deadlines, and what their answers mean."""
