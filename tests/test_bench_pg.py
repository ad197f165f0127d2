"""`python -m bench pg` on a server of the tests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.__main__ import main


def test_the_driver_is_measured_beside_the_floor(
    pg_database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BENCH_PG_DSN", pg_database)
    monkeypatch.setattr("bench.pg.ROUNDS_AND_SECONDS", (1, 0.02))
    file = tmp_path / "found.json"
    cases = "acquire,c64_pk,c64_rows100,c64_rows100_json,q20,stream100k,copy10k,executemany10k"
    assert main(["pg", "--quick", "--subjects", "swift,floor", "--cases", cases, "--json", str(file)]) == 0
    found = json.loads(file.read_text(encoding="utf-8"))
    assert list(found["cases"]) == cases.split(",")
    assert set(found["cases"]["c64_pk"]) == {"swift", "floor"}
    assert "c64_pk: swift/floor" in capsys.readouterr().out
