"""The quickstart's answers are those of its document: schemathesis asks whatever the document allows, and what not.

SOAK=1 lets it ask a hundred times as much.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from test_cli import running
from test_quickstart import DUNE, search_path, token_of

SOAK = os.environ.get("SOAK") == "1"
EXAMPLES = 1000 if SOAK else 20
SECRET = "of more than thirty-two bytes, for the tests"


def test_no_answer_is_a_5xx_or_undocumented(tmp_path: Path) -> None:
    with running(
        tmp_path, "app:asgi", "--server", "uvicorn", PYTHONPATH=search_path(), SECRET_KEY=SECRET
    ) as server:
        server.wait_until_ready()
        ada = token_of(server.client, "ada")
        for _ in range(3):
            assert server.client.post("/api/books", json=DUNE, headers=ada).status_code == 201
        command = [
            sys.executable,
            "-m",
            "schemathesis.cli",
            "run",
            str(server.client.base_url.join("/openapi.json")),
            f"--max-examples={EXAMPLES}",
            # It cannot take away a header that it is given, so it believes that no token is needed;
            # test_a_stranger_reads_and_no_more asks that. And JSON Schema takes 375.0 for an integer, we do not.
            # Sooner or later it finds that `ordering=` is taken for no order.
            "--exclude-checks=ignored_auth,positive_data_acceptance"
            + (",negative_data_rejection" if SOAK else ""),
            f"--header=authorization: {ada['authorization']}",
            "--generation-deterministic",
            "--no-color",
        ]
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=3000, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Tested: 9" in done.stdout, done.stdout
        assert server.stop() == 0
        assert "Traceback" not in server.output
