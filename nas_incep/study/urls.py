"""URLs of storages: what is one, and how it is shown."""

from __future__ import annotations

import re

FORMS = (
    "postgresql://USER:PASSWORD@HOST/DATABASE, mysql://USER:PASSWORD@HOST/DATABASE "
    "or grpc://HOST:PORT"
)
DRIVERS = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql"}


def public_url(url: str) -> str:
    """The URL with its password replaced by `***`, however badly it is written."""
    # To the last @: one in the password should be percent-encoded, but must not be shown if not.
    url = re.sub(r"^((?:[^:/?#@]*://)?[^:/?#@]*):(?!//).*@", r"\1:***@", url, flags=re.DOTALL)
    # USER:PASSWORD without a host looks like HOST:PORT.
    url = re.sub(r"^([^:/?#@]*://[^:/?#@\[]*):(?!\d*(?:[/?]|$))[^/?@]*(?=[/?]|$)", r"\1:***", url)
    return re.sub(r"([?&](?:ssl)?passw(?:or)?d=)[^&]*", r"\1***", url, flags=re.IGNORECASE)
