"""A fake Slack over real HTTP, with an inbox to look at; it misbehaves when it is told to.

`POST /services/.../{channel}` is an incoming webhook, `POST /api/chat.postMessage` and `/api/chat.update` are two
methods of Slack's API. `GET /` shows the inbox as Slack would draw it, `GET /messages` tells it as JSON,
`DELETE /messages` empties it. `PUT /behaviour` (or `/behaviour/{channel}`) changes how it answers.
"""

from __future__ import annotations

import argparse
import sys

from loadtest.fake_server import serve_until_told
from loadtest.slack_server import FakeSlack


def main() -> None:
    """Run the server until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.fake_slack", description="A fake Slack over HTTP.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8201, help="port, 0 for a free one (default: %(default)s)")
    arguments = parser.parse_args()
    try:
        slack = FakeSlack(host=arguments.host, port=arguments.port)
    except OSError as error:
        sys.exit(f"cannot listen on {arguments.host}:{arguments.port}: {error.strerror}")
    serve_until_told(slack, f"fake slack ready on {slack.url}: webhooks are {slack.webhook('CHANNEL')}")


if __name__ == "__main__":
    main()
