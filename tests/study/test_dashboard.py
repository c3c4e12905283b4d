"""optuna-dashboard on the study of a run, as a real server."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from helpers.commands import meddled, run_cli, wait_for
from helpers.servers import answers, free_port
from helpers.studies import until


def test_the_dashboard_shows_the_study(table_run: Path) -> None:
    pytest.importorskip("optuna_dashboard")
    port = free_port()
    command = [sys.executable, "-m", "nas_incep", "dashboard", str(table_run), "--port", str(port)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert f"http://127.0.0.1:{port}/" in wait_for(process, "http:")
            until(lambda: answers(port))

            def get(path: str) -> Any:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/{path}") as answer:
                    return json.load(answer)

            (study,) = get("studies")["study_summaries"]
            found = get(f"studies/{study['study_id']}")
            assert found["objective_names"] == ["accuracy"]
            assert {"state", "parameters", "macs"} <= {a["key"] for a in found["union_user_attrs"]}
            # In the middle of a request, where an exception would be lost: nobody reads the answer.
            with socket.socket() as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                client.connect(("127.0.0.1", port))
                client.sendall(b"GET /static/bundle.js HTTP/1.0\r\nAccept-Encoding: none\r\n\r\n")
                client.recv(1)
                time.sleep(0.5)
                process.terminate()
                time.sleep(0.5)
            assert process.wait(30) == 0
        finally:
            process.kill()


def test_without_the_package_a_sentence_says_how_to_install_it(
    table_run: Path, tmp_path: Path
) -> None:
    environment = meddled(tmp_path, "import sys; sys.modules['optuna_dashboard'] = None")
    done = run_cli("dashboard", table_run, env=environment)
    assert done.returncode == 2
    assert "pip install 'nas-incep[dashboard]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_port_in_use_is_named(table_run: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = run_cli("dashboard", table_run, "--port", port)
    assert done.returncode == 2
    assert f"--port {port}: cannot be used: Address already in use" in done.stderr


def test_a_run_without_a_study_is_named(table_run: Path, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_bytes((table_run / "run.json").read_bytes())
    done = run_cli("dashboard", tmp_path)
    assert done.returncode == 2
    assert "study.journal: no such file" in done.stderr
    assert os.listdir(tmp_path) == ["run.json"]
