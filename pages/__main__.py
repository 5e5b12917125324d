"""Write all generated pages and pictures, or check that they are up to date."""

from __future__ import annotations

import argparse
import sys

from pages.everything import outdated, write


def main() -> int:
    """Write or check; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m pages", description=__doc__)
    parser.add_argument("--check", action="store_true", help="name what is out of date, and exit 1")
    if not parser.parse_args().check:
        write()
        return 0
    found = outdated()
    for path in found:
        print(f"{path} is out of date: run 'make pages'.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
