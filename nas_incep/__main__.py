"""`python -m nas_incep`, and the script `nas-incep`: Ctrl-C shows no traceback from the start."""

import sys


def run() -> None:
    """Runs the command line."""
    try:
        from .cli import main

        main()
    except KeyboardInterrupt:  # during the imports, or after the command has ended
        sys.exit(130)


if __name__ == "__main__":
    run()
