"""The kinds of storage that tests of the study go through."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from helpers.servers import Databases

DATABASES = ["postgresql", "mariadb"]


@pytest.fixture(params=["journal", *DATABASES, "proxy"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Each kind of storage in turn, empty."""
    if request.param == "journal":
        return tmp_path / "study.journal"
    return request.getfixturevalue(f"{request.param}_url")


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest) -> tuple[Databases, str]:
    """Each kind of database in turn: its server, and the URL of an empty database."""
    return request.getfixturevalue(request.param), request.getfixturevalue(f"{request.param}_url")
