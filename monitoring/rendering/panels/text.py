"""Words on a dashboard, in Markdown."""

from __future__ import annotations

from monitoring.rendering.dashboard import GrafanaModel
from monitoring.rendering.drawing import Drawing
from monitoring.rendering.panel_data import PanelData
from monitoring.rendering.panel_options import read_options


class _TextOptions(GrafanaModel):
    content: str = ""
    mode: str = "markdown"


def draw_text(data: PanelData) -> Drawing:
    """Return the words of a text panel; HTML in them is shown as it stands."""
    return Drawing(words=data.variables.in_text(read_options(_TextOptions, data.panel).content))
