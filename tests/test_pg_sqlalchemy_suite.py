"""The dialect passes SQLAlchemy's own tests of dialects; tests/sqlalchemy_suite/requirements.py says what is left out.

They take over pytest, so they run in a process of their own.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.pg_support import versions

ROOT = Path(__file__).parent.parent
SUITE = ROOT / "tests" / "sqlalchemy_suite"
SOAK = os.environ.get("SOAK") == "1"
# One server in a usual run, about 25 seconds; each of them in a long one.
VERSIONS = versions() if SOAK else [None]


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: f"pg{version}" if version else "one")
def test_the_compliance_suite_passes(version: int | None, pg_new_cluster: Any) -> None:
    cluster = pg_new_cluster(version, settings={"max_prepared_transactions": "10"})
    cluster.sql("create schema test_schema")
    command = [
        sys.executable, "-m", "pytest", "-q", "--tb=short", "--noconftest", "-p", "no:cacheprovider",
        "-p", "tests.sqlalchemy_suite.plugin", "-c", str(SUITE / "setup.cfg"), "--rootdir", str(SUITE),
        "--dburi", cluster.dsn().replace("postgresql:", "postgresql+swift:"), str(SUITE / "compliance.py"),
    ]  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
        env=environment | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    # Fewer would mean that a requirement was closed by accident.
    assert passed is not None, done.stdout[-2000:]
    assert int(passed[1]) > 1800, done.stdout[-2000:]
