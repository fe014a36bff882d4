"""A process that only delivers: `python -m tests.delivery_process FILE WEBHOOK`, until it is killed."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from app.logs import configure_logs
from app.settings import LogSettings, RelaySettings
from tests.delivered import Outbox


def main() -> None:
    """Deliver what waits in the file."""
    file, webhook = sys.argv[1:]
    configure_logs(LogSettings())
    settings = RelaySettings.model_validate(
        {"slack_webhook_url": webhook, "slack_timeout_seconds": 60.0, "messages_per_second": 10.0}
    )
    with Outbox(Path(file), settings).delivering():
        sys.stdout.write("delivering\n")
        sys.stdout.flush()
        threading.Event().wait()


if __name__ == "__main__":
    main()
