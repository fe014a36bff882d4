"""What a scrape of the web application tells."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families as parse_text

from tests.api import Api

METRICS_URL = "/api/metrics"


def samples(api: Api) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Return every sample of a scrape by its name and labels."""
    answer = api.get(METRICS_URL, None)
    assert answer.status_code == 200
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parse_text(answer.get_data(as_text=True))
        for sample in family.samples
    }


def value(found: dict[tuple[str, tuple[tuple[str, str], ...]], float], name: str, **labels: str) -> float:
    """Return one sample."""
    return found[name, tuple(sorted(labels.items()))]


def names_of(found: dict[tuple[str, tuple[tuple[str, str], ...]], float]) -> set[str]:
    """Return the names of all samples."""
    return {name for name, _ in found}
