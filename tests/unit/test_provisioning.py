from __future__ import annotations

import yaml

from app.settings.monitoring import MonitoringSettings
from monitoring.provisioning import DASHBOARDS_FOLDER, NOTICE, dashboard_providers, datasources


def test_grafana_is_told_where_its_data_is_and_how_often_it_comes() -> None:
    text = datasources()
    (source,) = yaml.safe_load(text)["datasources"]
    assert text.startswith(f"{NOTICE}\n")
    assert (source["type"], source["url"]) == ("prometheus", "${PROMETHEUS_URL}")
    assert source["jsonData"]["timeInterval"] == f"{MonitoringSettings().scrape_seconds}s"


def test_grafana_is_told_where_its_dashboards_are() -> None:
    (provider,) = yaml.safe_load(dashboard_providers())["providers"]
    assert provider["options"] == {"path": DASHBOARDS_FOLDER}
    assert not provider["allowUiUpdates"]
