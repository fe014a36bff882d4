"""The command that makes the secrets of the compose file."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.domain.token_form import is_token
from deploy.compose.secret_files import DIRECTORY, SECRET_FILES, make_secrets
from tests.compose.compose_file import ROOT


def _text(folder: Path, name: str) -> str:
    return (folder / name).read_text(encoding="ascii")


def test_each_secret_has_the_form_that_its_reader_wants(tmp_path: Path) -> None:
    assert make_secrets(tmp_path) == list(SECRET_FILES)
    assert is_token(_text(tmp_path, "admin-token"))
    events = _text(tmp_path, "relay-events-secret")
    assert len(base64.b64decode(events.removeprefix("whsec_"), validate=True)) == 32
    for name in ("postgresql-password", "valkey-password", "alertmanager-token", "grafana-password"):
        assert len(bytes.fromhex(_text(tmp_path, name))) == 32
    # Only you know where your Slack is.
    assert _text(tmp_path, "slack-webhook-url") == ""


def test_no_two_secrets_are_alike(tmp_path: Path) -> None:
    made = [
        _text(tmp_path / folder, name)
        for folder in ("one", "two")
        for name in make_secrets(tmp_path / folder)
        if name != "slack-webhook-url"
    ]
    assert len(set(made)) == len(made)


def test_a_secret_that_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / "valkey-password").write_text("mine", encoding="ascii")
    made = make_secrets(tmp_path)
    assert set(SECRET_FILES) - set(made) == {"valkey-password"}
    before = {name: _text(tmp_path, name) for name in SECRET_FILES}
    assert before["valkey-password"] == "mine"
    assert make_secrets(tmp_path) == []
    assert {name: _text(tmp_path, name) for name in SECRET_FILES} == before


def test_other_users_reach_no_file_but_the_users_of_the_containers_can_read_each(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    previous = os.umask(0o077)
    try:
        make_secrets(folder)
    finally:
        os.umask(previous)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {(folder / name).stat().st_mode & 0o777 for name in SECRET_FILES} == {0o644}


def test_git_ignores_them() -> None:
    ignored = subprocess.run(["git", "check-ignore", "--quiet", DIRECTORY / "x"], cwd=ROOT, check=False)
    assert ignored.returncode == 0


def test_the_command_tells_names_and_no_secret(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "deploy.compose.secret_files", str(tmp_path)]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout
    assert told.startswith("made in ")
    assert all(_text(tmp_path, name) not in told for name in SECRET_FILES if name != "slack-webhook-url")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    command = [sys.executable, "-m", "deploy.compose.secret_files", str(tmp_path / "file" / "secrets")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", SECRET_FILES)
def test_a_secret_has_no_line_break(tmp_path: Path, name: str) -> None:
    make_secrets(tmp_path)
    assert "\n" not in _text(tmp_path, name)
