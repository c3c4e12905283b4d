"""Makes the pictures in docs/ that show what a run looks like, out of a real run.

    nas-incep search quick --trials 8 --run r1 --seed 1 --baseline cifar_resnet20_v1 --epochs 3
    nas-incep fidelity r1 --networks 4 --top 3 --times 2
    nas-incep finals r1 --finals 0.6
    python benchmarks/screenshots.py r1 [NAME...]

NAME is report, terminal, plots or dashboard; default: all. It needs Chromium, and what the tests
need. The terminal's pictures are what the commands print into a terminal of that width: the live
display is that of a search that is begun for it and stopped at its third trial.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import io
import os
import pty
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
sys.path.insert(0, str(ROOT / "tests"))

from helpers.browser import Browser, Page  # noqa: E402

COMMAND = [sys.executable, "-m", "nas_incep"]
SECONDS = 600  # for a command
MOST = 200_000  # bytes of a picture


def shrink(path: Path) -> None:
    """Reduces a screenshot to 256 colors. Fails if it is still large."""
    image = Image.open(path).convert("RGB")
    image.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    size = path.stat().st_size
    print(f"{path.relative_to(ROOT)}: {size // 1000} kB", file=sys.stderr)
    assert size < MOST, path


def report(browser: Browser, run: Path) -> None:
    """The top of the report in light colors, its pictures with the finals in dark ones."""
    page_file = Path(tempfile.mkdtemp()) / "report.html"
    subprocess.run([*COMMAND, "report", run, "--output", page_file], check=True)

    def top_of(page: Page, section: str) -> int:
        code = f"document.querySelector('#{section}').getBoundingClientRect().top"
        return int(page.evaluate(code))

    light = Page(browser, page_file)
    light.screenshot(DOCS / "report-light.png", top_of(light, "pictures"))
    dark = Page(browser, page_file, scheme="dark")
    # The list of contents stays at the top of a window, so it would cover the pictures.
    dark.evaluate("document.querySelector('nav').remove()")
    top = top_of(dark, "pictures")
    dark.screenshot(DOCS / "report-dark.png", top_of(dark, "the-fidelity") - top, top)
    for name in ("report-light", "report-dark"):
        shrink(DOCS / f"{name}.png")


def plots(browser: Browser, run: Path) -> None:
    """Single pictures as `plot` and `simulate` draw them."""
    for kind in ("finals", "fidelity"):
        subprocess.run([*COMMAND, "plot", run, kind, "--output", DOCS / f"{kind}.png"], check=True)
    words = ["simulate", run, "--trials", "6", "--repeats", "100", "--sampler", "tpe"]
    words += ["--sampler", "random", "--output", DOCS / "simulate.png"]
    subprocess.run([*COMMAND, *words], check=True, stdout=subprocess.DEVNULL)
    for name in ("finals", "fidelity", "simulate"):
        shrink(DOCS / f"{name}.png")


class Screen:
    """The lines that a terminal shows of what is printed, with their colors.

    It knows what Rich writes: whole lines, cursor up and erase line.
    """

    def __init__(self) -> None:
        self.lines, self._row, self._rest = [""], 0, ""

    def feed(self, text: str) -> None:
        parts = re.split(r"(\x1b\[[0-9;?]*[A-Za-z]|\r|\n)", self._rest + text)
        self._rest = parts.pop() if "\x1b" in parts[-1] else ""
        for part in parts:
            if part == "\n":
                self._row += 1
                self.lines += [""] * (self._row + 1 - len(self.lines))
            elif re.fullmatch(r"\x1b\[[0-9]*A", part):
                self._row = max(0, self._row - int(part[2:-1] or 1))
            elif part == "\x1b[2K":
                self.lines[self._row] = ""
            elif part != "\r" and not re.fullmatch(r"\x1b\[[0-9;?]*[^m]", part):
                self.lines[self._row] += part


def printed(
    words: list[str], folder: Path, columns: int, is_enough: Callable[[Screen], bool]
) -> list[str]:
    """What a command shows in a terminal of that width when it ends, or once it is enough.

    It works in `folder`.
    """
    child, terminal = pty.fork()
    if child == 0:
        for name in ("COLUMNS", "LINES", "NO_COLOR"):
            os.environ.pop(name, None)
        os.environ.update(TERM="xterm-256color", COLORTERM="truecolor")
        os.chdir(folder)
        time.sleep(0.2)  # until the terminal has its size
        os.execvp(COMMAND[0], [*COMMAND, *words])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    screen, deadline = Screen(), time.monotonic() + SECONDS
    with contextlib.suppress(OSError):  # the other end is closed
        while select.select([terminal], [], [], max(0, deadline - time.monotonic()))[0]:
            text = os.read(terminal, 1 << 16).decode(errors="replace")
            if not text:
                break
            screen.feed(text)
            if is_enough(screen):
                break
    lines = list(screen.lines)
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGINT)
    with contextlib.suppress(OSError):
        while os.read(terminal, 1 << 16):
            pass
    os.waitpid(child, 0)
    os.close(terminal)
    return lines


def third_trial(screen: Screen) -> bool:
    """Whether a search is in its third trial, with an accuracy of it to be seen."""
    text = Text.from_ansi("\n".join(screen.lines)).plain
    return bool(re.search(r"^[23]/6 ", text, re.M) and re.search(r"^trial.*val 0\.", text, re.M))


def terminal(browser: Browser, run: Path) -> None:
    """A search in flight and the leaderboard, in terminals of 80 and 120 columns."""
    for columns in (80, 120):
        search = f"search quick --trials 6 --run r2 --seed {columns}"
        live = printed(search.split(), Path(tempfile.mkdtemp()), columns, third_trial)
        board = printed(["leaderboard", run.name], run.parent, columns, lambda screen: False)
        lines = [f"$ nas-incep {search}", *live, "", f"$ nas-incep leaderboard {run.name}", *board]
        console = Console(width=columns, record=True, file=io.StringIO(), color_system="truecolor")
        for line in Text.from_ansi("\n".join(lines).rstrip() + "\n ").split(allow_blank=True):
            # A terminal breaks long lines anywhere.
            for part in line.divide(range(columns, len(line), columns)):
                console.print(part, soft_wrap=True)
        svg = console.export_svg(title=f"{columns} columns")
        # The font that rich names would be fetched from elsewhere.
        svg = re.sub(r"@font-face\s*{.*?}", "", svg, flags=re.S)
        svg = svg.replace("Fira Code", "DejaVu Sans Mono")
        file = Path(tempfile.mkdtemp()) / "terminal.svg"
        file.write_text(svg, encoding="utf-8")
        wide, high = map(float, re.findall(r'viewBox="0 0 ([0-9.]+) ([0-9.]+)"', svg)[0])
        target = DOCS / f"terminal-{columns}.png"
        Page(browser, file, round(wide)).screenshot(target, round(high))
        shrink(target)


@contextlib.contextmanager
def served(run: Path) -> Iterator[str]:
    """The address of the dashboard of a run, which is served meanwhile."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    command = [*COMMAND, "dashboard", run, "--port", port]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        found = re.search(r"http://\S+", process.stderr.readline())
        assert found
        try:
            yield found[0]
        finally:
            process.kill()


def dashboard(browser: Browser, run: Path) -> None:
    """Optuna's dashboard on the run's study."""
    target = DOCS / "dashboard.png"
    # A copy: whoever opens a dashboard can change the study.
    copy = Path(shutil.copytree(run, Path(tempfile.mkdtemp()) / run.name))
    with served(copy) as address:
        time.sleep(3)  # it says its address before it listens
        page = Page(browser, f"{address}dashboard/studies/0")
        deadline = time.monotonic() + 120
        plots = "document.querySelectorAll('.js-plotly-plot .main-svg').length"
        while not page.evaluate(plots) and time.monotonic() < deadline:
            time.sleep(1)
        time.sleep(5)  # its plots come one by one
        page.screenshot(target, 900)
    shrink(target)


ALL = {"report": report, "terminal": terminal, "plots": plots, "dashboard": dashboard}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(ALL)}")
    given = parser.parse_args()
    path = shutil.which("chromium")
    assert path, "chromium is not installed"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(path, profile)
        for name in given.names or ALL:
            ALL[name](browser, given.run)
        browser.close()


if __name__ == "__main__":
    main()
