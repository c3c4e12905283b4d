"""Receiving a file over HTTP, with timeouts, a size limit and a retry."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import requests

Progress = Callable[[int, "int | None"], None]  # bytes received so far, bytes in all if known

CONNECT_SECONDS = 10.0
READ_SECONDS = 30.0  # of silence, not of the whole download
TRIES = 2
PAUSE_SECONDS = 1.0  # between two tries
BLOCK_BYTES = 1 << 18


class DownloadFailed(Exception):
    """A failed download; its message gives the reason in a few words."""

    def __init__(self, reason: str, try_again: bool = False) -> None:
        super().__init__(reason)
        self.try_again = try_again


def receive(address: str, path: Path, max_bytes: int, progress: Progress | None = None) -> None:
    """Download `address` to `path`, with a retry if that may help. Raises DownloadFailed."""
    for attempt in range(1, TRIES + 1):
        try:
            _receive_once(address, path, max_bytes, progress)
            break
        except DownloadFailed as failure:
            if attempt == TRIES or not failure.try_again:
                raise
        time.sleep(PAUSE_SECONDS)


def _receive_once(address: str, path: Path, max_bytes: int, progress: Progress | None) -> None:
    try:
        with requests.get(
            address,
            stream=True,
            timeout=(CONNECT_SECONDS, READ_SECONDS),
            # Some servers declare a .gz file as an encoded response; it would arrive unpacked.
            headers={"Accept-Encoding": "identity"},
        ) as response:
            _save(response, path, max_bytes, progress)
    except requests.RequestException as error:
        # A ValueError means an invalid address, for which a retry is pointless.
        raise DownloadFailed(_reason(error), not isinstance(error, ValueError)) from None


def _save(
    response: requests.Response, path: Path, max_bytes: int, progress: Progress | None
) -> None:
    if response.status_code != 200:
        # Only server errors may go away on a retry.
        raise DownloadFailed(f"HTTP {response.status_code}", response.status_code >= 500)
    length = response.headers.get("Content-Length", "")
    total = int(length) if length.isdecimal() else None
    received = 0
    with open(path, "wb") as file:
        for block in response.iter_content(BLOCK_BYTES):
            received += len(block)
            if received > max_bytes:
                raise DownloadFailed(f"too large: more than {max_bytes:,} bytes")
            file.write(block)
            if progress is not None:
                progress(received, total)
    if total is not None and received != total:
        raise DownloadFailed(f"broke off after {received} of {total} bytes", True)


_REASONS: tuple[tuple[type[Exception], str], ...] = (  # subclasses before their bases
    (requests.exceptions.SSLError, "the server's certificate was not accepted"),
    (requests.exceptions.ProxyError, "the proxy refused"),
    (requests.Timeout, "no answer in time"),
    (requests.exceptions.ChunkedEncodingError, "the connection broke off"),
    (requests.ConnectionError, "no connection"),
    (ValueError, "not an address that can be asked"),
)


def _reason(error: requests.RequestException) -> str:
    reasons = (reason for kind, reason in _REASONS if isinstance(error, kind))
    return next(reasons, type(error).__name__)
