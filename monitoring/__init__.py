"""Dashboards and recording rules as code."""
