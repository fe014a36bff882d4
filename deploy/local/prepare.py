"""Prepare a local stack before its processes start: migrate the database, and have an admin token that it accepts.

python -m deploy.local.prepare TOKEN_FILE
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from app.domain.errors import MarketplaceError
from app.domain.roles import Role
from app.failpoints import FAILPOINT_VARIABLE
from app.settings import load_settings
from app.storage.database import Database
from app.storage.migrate import upgrade
from app.tokens import Tokens, new_token

ADMIN_NAME = "local-admin"


def prepare(token_file: Path) -> None:
    """Migrate the database that the settings name, and make the token in the file (written once) valid for an admin.

    Safe to repeat.

    Raises:
        MarketplaceError: The settings are wrong, the database does not answer, or the file holds no token.
    """
    if not token_file.exists():
        descriptor = os.open(token_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(new_token() + "\n")
    database = Database(load_settings(ignoring=FAILPOINT_VARIABLE).database)
    try:
        upgrade(database)
        Tokens(database).adopt(ADMIN_NAME, token_file.read_text(encoding="ascii").strip(), Role.ADMIN)
    finally:
        database.close()


if __name__ == "__main__":
    try:
        prepare(Path(sys.argv[1]))
    except MarketplaceError as error:
        sys.exit(str(error))
