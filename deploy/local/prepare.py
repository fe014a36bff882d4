"""Prepare a local stack before its processes start: migrate the database, and have an admin token that it accepts.

python -m deploy.local.prepare TOKEN_FILE
"""

from __future__ import annotations

import sys
from pathlib import Path

from app.domain.errors import MarketplaceError
from app.domain.roles import Role
from app.failpoints import FAILPOINT_VARIABLE
from app.settings import load_settings
from app.storage.database import Database
from app.storage.migrate import upgrade
from app.tokens import Tokens, new_token
from deploy.local.secret_file import kept_secret

ADMIN_NAME = "local-admin"


def prepare(token_file: Path) -> None:
    """Migrate the database that the settings name, and make the token in the file (written once) valid for an admin.

    Safe to repeat.

    Raises:
        MarketplaceError: The settings are wrong, the database does not answer, or the file holds no token.
    """
    token = kept_secret(token_file, new_token)
    database = Database(load_settings(ignoring=FAILPOINT_VARIABLE).database)
    try:
        upgrade(database)
        Tokens(database).adopt(ADMIN_NAME, token, Role.ADMIN)
    finally:
        database.close()


if __name__ == "__main__":
    try:
        prepare(Path(sys.argv[1]))
    except MarketplaceError as error:
        sys.exit(str(error))
