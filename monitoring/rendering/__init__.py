"""Grafana's dashboard JSON drawn from a Prometheus into static pages: no Grafana, no network, no JavaScript."""
