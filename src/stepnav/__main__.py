"""The `stepnav` command's start, also as `python -m stepnav`, for torchrun.

Ctrl-C while the command itself is being imported ends it as later (`cli/main.py`): one line, 130.
"""

import sys


def main() -> None:
    """Run the command."""
    try:
        from stepnav.cli.main import main as run

        run()
    except KeyboardInterrupt:  # before it takes them itself
        sys.stderr.write("interrupted\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
