"""Rows of panels, one subject each; `monitoring.dashboards` puts them together."""
