"""The URLs of storages: their forms, and how to show them without the password."""

from __future__ import annotations

import re
from urllib.parse import unquote

FORMS = (
    "postgresql://USER:PASSWORD@HOST/DATABASE, mysql://USER:PASSWORD@HOST/DATABASE "
    "or grpc://HOST:PORT"
)
DRIVERS = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql"}


def public_url(url: str) -> str:
    """The URL with its password replaced by `***`, even if it is malformed."""
    # Up to the last @: an @ in the password should be percent-encoded, but may not be.
    url = re.sub(r"^((?:[^:/?#@]*://)?[^:/?#@]*):(?!//).*@", r"\1:***@", url, flags=re.DOTALL)
    # USER:PASSWORD without a host resembles HOST:PORT.
    url = re.sub(r"^([^:/?#@]*://[^:/?#@\[]*):(?!\d*(?:[/?]|$))[^/?@]*(?=[/?]|$)", r"\1:***", url)
    return re.sub(r"(?<=[?&])([^=&]*)=[^&]*", _without_secret, url)


def _without_secret(match: re.Match[str]) -> str:
    """An option of a URL, without its value if the name tells that it is secret."""
    name = unquote(match[1]).lower()
    secret = any(part in name for part in ("pass", "pwd", "secret", "token"))
    return f"{match[1]}=***" if secret else match[0]
