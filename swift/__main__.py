"""`python -m swift` is `swift-api`."""

from __future__ import annotations

from swift.cli import main

if __name__ == "__main__":
    # Guarded, since a server's workers import this module again under another name.
    main(prog_name="python -m swift")
