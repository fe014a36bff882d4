"""Our layer over grafanalib 0.7.1: panels, grid, variables and JSON as Grafana 11 and later have them.

docs/decisions/dashboards-as-code.md tells what the library gives and what this layer mends.
"""
