"""A rendered chart that runs in podman: started, asked, broken and removed by its own names and ids."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from deploy.image.engine import Engine, EngineError
from tests.chart.rendering import NAMESPACE, RELEASE, Rendered, render
from tests.kube_play.pods import Pod, pods_of
from tests.kube_play.stand_ins import make_stand_ins
from tests.servers import free_port, wait_until

_FULL_NAME = f"{RELEASE}-marketplace"

_FETCH = "import sys, urllib.request as r; print(r.urlopen(r.Request(*sys.argv[1:2], method=sys.argv[2], data=sys.argv[3].encode() or None), timeout=5).read().decode())"

#: `podman kube play` of one pod, on a busy machine.
_PLAY_SECONDS = 60.0

_READY_SECONDS = 45.0

#: Components that start before the others, which wait for them anyhow.
_FIRST = ("postgresql", "valkey")


@dataclass(frozen=True)
class Installation:
    """The running pods; `left_out` names the images that have no stand-in."""

    engine: Engine
    pods: tuple[Pod, ...]
    url: str
    token: str
    left_out: tuple[str, ...]

    def of(self, component: str) -> list[Pod]:
        """Return the pods of one component."""
        return [pod for pod in self.pods if pod.component == component]

    def api(self, method: str, path: str, **options: Any) -> Any:
        """Send a request through the published port, and return the JSON of its answer."""
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = requests.request(method, f"{self.url}{path}", headers=headers, timeout=10, **options)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def fetch(self, component: str, port: int, path: str, *, method: str = "GET", body: str = "") -> str:
        """Ask a server inside the network, from the first pod of a role of ours; return its answer."""
        # A name with a dot at its end is looked up as it is.
        url = f"http://{_FULL_NAME}-{component}.{NAMESPACE}.svc:{port}{path}"
        return self.engine.run("exec", self.of("web")[0].container, "python", "-c", _FETCH, url, method, body)

    def inspect(self, pod: Pod) -> Mapping[str, Any]:
        """Return what podman knows of the pod's container."""
        found: Mapping[str, Any] = json.loads(self.engine.run("inspect", pod.container))[0]
        return found

    def signal(self, pod: Pod, number: signal.Signals) -> None:
        """Send a signal to the pod's first process, as a kubelet does."""
        os.kill(self.inspect(pod)["State"]["Pid"], number)

    def logs(self, pod: Pod) -> str:
        """Return the end of what the pod has said."""
        done = self.engine.attempt("logs", "--tail=15", pod.container)
        return done.stdout + done.stderr


@contextmanager
def installed(engine: Engine, values: Mapping[str, Any]) -> Iterator[Installation]:
    """Yield the chart with these values, once it is ready; everything is removed afterwards."""
    rendered = render(values)
    network = f"kube-play-{secrets.token_hex(4)}"
    folder = Path(tempfile.mkdtemp(prefix="kube-play-"))
    port = free_port()
    try:
        pods = pods_of(rendered.all(), folder / "volumes", published={"web": port})
        own = {image for pod in pods for image in pod.images if image.startswith("marketplace:")}
        left_out = make_stand_ins(engine, {image for pod in pods for image in pod.images} - own, folder / "stand-ins")
        pods = [pod for pod in pods if not set(pod.images) & set(left_out)]
        installation = Installation(
            engine, tuple(pods), f"http://127.0.0.1:{port}", _admin_token(rendered), tuple(left_out)
        )
        engine.run("network", "create", network)
        for pod in sorted(pods, key=lambda pod: pod.component not in _FIRST):
            _play(engine, pod, network, folder)
        with _restarting(installation):
            try:
                wait_until(lambda: _is_ready(installation), seconds=_READY_SECONDS, what="readiness")
            except AssertionError as error:
                raise AssertionError(f"{error}\n{_state(installation)}") from None
            yield installation
    finally:
        _remove(engine, network, folder)


def _play(engine: Engine, pod: Pod, network: str, folder: Path) -> None:
    manifest = folder / f"{pod.name}.yaml"
    manifest.write_text(pod.manifest())
    aliases = ",".join(f"alias={alias}" for alias in pod.aliases)
    engine.run("kube", "play", f"--network={network}{':' if aliases else ''}{aliases}", manifest, seconds=_PLAY_SECONDS)


@contextmanager
def _restarting(installation: Installation) -> Iterator[None]:
    """Start containers that have ended again, as a kubelet does; a Job that has succeeded stays as it is."""
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(0.5):
            for pod in installation.pods:
                if pod.spec.get("restartPolicy", "Always") == "Always":
                    with contextlib.suppress(EngineError, ValueError, LookupError):
                        if installation.inspect(pod)["State"]["Status"] in {"exited", "stopped"}:
                            installation.engine.attempt("start", pod.container)

    thread = threading.Thread(target=look, name="kubelet")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _remove(engine: Engine, network: str, folder: Path) -> None:
    """Remove what was started, by the names that only this run has: its network's pods, its network, its folder."""
    told = engine.attempt("pod", "ps", f"--filter=network={network}", "--format={{.ID}}").stdout.split()
    if told:
        engine.attempt("pod", "rm", "--force", "--time=1", *told)
    engine.attempt("network", "rm", "--force", network)
    shutil.rmtree(folder, ignore_errors=True)


def _is_ready(installation: Installation) -> bool:
    with contextlib.suppress(requests.RequestException):
        return requests.get(f"{installation.url}/api/health/ready", timeout=2).status_code == 200
    return False


def _state(installation: Installation) -> str:
    told = []
    for pod in installation.pods:
        state = installation.inspect(pod)["State"]
        told.append(f"{pod.name}: {state['Status']} {state['ExitCode']}\n{installation.logs(pod)[-1500:]}")
    return "\n".join(told)


def _admin_token(rendered: Rendered) -> str:
    secret = rendered.one("Secret", f"{_FULL_NAME}-auth")
    return base64.b64decode(secret["data"]["admin-token"]).decode()
