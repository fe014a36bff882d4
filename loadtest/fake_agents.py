"""Fake agents: six language models over real HTTP, which misbehave when they are told to.

`POST /{agent}/v1/chat/completions` speaks the `openai` protocol, `POST /{agent}/analyse` the `http` protocol.
`PUT /behaviour/{agent}` changes an agent while it runs, `GET /behaviour/{agent}` and `GET /requests/{agent}` tell what
it does and did. Equal seeds give equal answers, request by request.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from loadtest.agent_behaviours import AGENTS, Behaviour, demo_behaviours, read_behaviour
from loadtest.agent_server import FakeAgents
from loadtest.control import ControlError
from loadtest.fake_server import serve_until_told


def main() -> None:
    """Run the server until SIGTERM or SIGINT."""
    arguments = _arguments()
    behaviours = demo_behaviours(arguments.seed) if arguments.personalities == "demo" else {}
    if arguments.config is not None:
        try:
            behaviours |= _configured(arguments.config, arguments.seed)
        except ControlError as error:
            sys.exit(f"{arguments.config}: {error}")
    try:
        fakes = FakeAgents(host=arguments.host, port=arguments.port, seed=arguments.seed, behaviours=behaviours)
    except OSError as error:
        sys.exit(f"cannot listen on {arguments.host}:{arguments.port}: {error.strerror}")
    serve_until_told(fakes, f"fake agents ready on {fakes.url}: {', '.join(fakes.agents)}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtest.fake_agents", description="Six fake agents over HTTP.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8100, help="port, 0 for a free one (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="equal seeds give equal answers (default: %(default)s)")
    parser.add_argument("--personalities", choices=("healthy", "demo"), default="healthy", help="how they begin")
    parser.add_argument("--config", type=Path, help='JSON file with behaviours: {"amazon": {"mode": "slow"}, ...}')
    return parser.parse_args()


def _configured(path: Path, seed: int) -> dict[str, Behaviour]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ControlError("file", f"cannot be read as JSON ({type(error).__name__})") from None
    if not isinstance(data, dict) or not set(data) <= set(AGENTS):
        raise ControlError("file", f"must be an object whose keys are among {', '.join(AGENTS)}")
    behaviours = {}
    for agent, behaviour in data.items():
        try:
            behaviours[agent] = read_behaviour(behaviour, seed=seed)
        except ControlError as error:
            raise ControlError(f"{agent}.{error.field}", error.message) from None
    return behaviours


if __name__ == "__main__":
    main()
