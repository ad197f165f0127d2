"""The harness of `bench/`, with no peer but the hand-written `raw`."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import socket
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from bench import sqlite
from bench.__main__ import BENCHES, main
from bench.asgi import Message, Receive, Request, Response, Scope, Send, ask, lifespan
from bench.calls import COUNTED, count
from bench.cases import CASES, ORDER, Case, Exchange, WrongAnswer, record
from bench.e2e import CASES as E2E_CASES
from bench.futures import CASES as FUTURE_CASES
from bench.futures import SUBJECTS as FUTURE_SUBJECTS
from bench.measure import Sample, interleave
from bench.options import Options, Unavailable
from bench.pg import CASES as PG_CASES
from bench.records import CASES as TABLE_CASES
from bench.records import MANY, NEW, RANDOM_IDS, TableCase, in_utc
from bench.report import Report
from bench.servers import SERVERS, served
from bench.serving import Server, fetch
from bench.subjects import DISTRIBUTIONS, Subject, installed, load
from bench.subjects import e2e as e2e_subjects
from bench.subjects import pg as pg_subjects
from bench.subjects import sqlite as stored
from bench.targets import TARGETS, judge, verdicts
from bench.wrk import Load, press_in_turn, request_count, warn_of_idling

ROOT = Path(__file__).parent.parent


def sample(*rounds: float) -> Sample:
    return Sample(rounds)


def report(**subjects: Sample) -> Report:
    return Report("inproc", "µs/request", {"json": subjects}, dict.fromkeys(subjects, "1.0"))


# Figures


def test_a_sample_is_the_median_of_its_rounds_with_their_extremes() -> None:
    figures = sample(5.0, 1.0, 2.0)
    assert (figures.median, figures.min, figures.max) == (2.0, 1.0, 5.0)


def test_the_median_of_an_even_number_of_rounds_lies_between_the_middle_two() -> None:
    assert sample(1.0, 2.0, 4.0, 9.0).median == 3.0


def test_a_ratio_divides_the_medians_and_spreads_over_the_rounds() -> None:
    ratio = sample(3.0, 2.0, 8.0) / sample(1.0, 2.0, 4.0)
    assert ratio.value == 1.5
    assert ratio.rounds == sample(3.0, 1.0, 2.0)


def test_rounds_interleave_and_turn_their_order() -> None:
    asked: list[str] = []

    def measure(name: str) -> float:
        asked.append(name)
        return float(len(asked))

    samples = interleave({name: partial(measure, name) for name in "ab"}, rounds=3)
    assert "".join(asked) == "abbaab"
    assert samples == {"a": sample(1.0, 4.0, 5.0), "b": sample(2.0, 3.0, 6.0)}


# Targets


@pytest.mark.parametrize(
    ("formula", "line"),
    [
        ("swift/raw <= 1.7", "json: swift/raw 1.45 <= 1.70 reached"),
        ("swift/raw <= 1.45", "json: swift/raw 1.45 <= 1.45 reached"),
        ("swift/raw <= 1.3", "json: swift/raw 1.45 <= 1.30 MISSED by 0.15"),
        ("swift/raw >= 1.4", "json: swift/raw 1.45 >= 1.40 reached"),
        ("swift/raw >= 1.5", "json: swift/raw 1.45 >= 1.50 MISSED by 0.05"),
        ("swift/raw@plaintext <= 0.75", "json: swift/raw@plaintext 0.72 <= 0.75 reached"),
        ("swift <= 15", "json: swift 2.9 <= 15 reached"),
        ("swift <= 2", "json: swift 2.9 <= 2 MISSED by 0.9"),
    ],
)
def test_a_verdict_says_the_value_the_bound_and_the_outcome(formula: str, line: str) -> None:
    samples = {"json": {"swift": sample(2.9), "raw": sample(2.0)}, "plaintext": {"raw": sample(4.0)}}
    assert str(judge("json", formula, samples)) == line


def test_a_verdict_shows_the_spread_of_its_rounds() -> None:
    samples = {"json": {"swift": sample(2.9, 3.0, 2.8), "raw": sample(2.0, 2.0, 2.0)}}
    line = "json: swift/raw 1.45 <= 1.70 reached (rounds 1.40 to 1.50)"
    assert str(judge("json", "swift/raw <= 1.7", samples)) == line


@pytest.mark.parametrize("formula", ["swift/raw <= 1.7", "raw/swift <= 1.7", "raw/raw@routes1 <= 1.1"])
def test_what_was_not_measured_gets_no_verdict(formula: str) -> None:
    assert judge("json", formula, {"json": {"raw": sample(1.0)}}) is None


def test_a_formula_that_cannot_be_read_is_refused_with_its_place() -> None:
    with pytest.raises(ValueError, match=r"got `swift < 1` - at target json"):
        judge("json", "swift < 1", {})


def test_every_target_is_readable_and_names_what_its_bench_measures() -> None:
    cases = {
        "inproc": set(CASES),
        "calls": set(COUNTED),
        "servers": set(SERVERS),
        "sqlite": set(TABLE_CASES),
        "futures": set(FUTURE_CASES),
        "pg": set(PG_CASES),
        "e2e": set(E2E_CASES),
    }
    measured = {
        "sqlite": tuple(stored.DISTRIBUTIONS),
        "futures": FUTURE_SUBJECTS,
        "pg": tuple(pg_subjects.DISTRIBUTIONS),
        "e2e": tuple(e2e_subjects.DISTRIBUTIONS),
    }
    figure = sample(1.0)
    for bench, targets in TARGETS.items():
        assert set(targets) <= cases[bench]
        subjects = measured.get(bench, tuple(DISTRIBUTIONS))
        everything = {case: dict.fromkeys(subjects, figure) for case in cases[bench]}
        assert len(list(verdicts(bench, everything))) == sum(map(len, targets.values()))


# The report


def test_the_json_has_the_documented_shape() -> None:
    found = report(swift=sample(3.0, 1.0, 2.0), raw=sample(1.0, 1.0, 1.0)).as_json()
    assert list(found) == ["bench", "date", "machine", "versions", "unit", "cases"]
    assert found["bench"] == "inproc"
    assert found["versions"] == {"swift": "1.0", "raw": "1.0"}
    assert found["unit"] == "µs/request"
    assert found["cases"] == {
        "json": {
            "swift": {"median": 2.0, "min": 1.0, "max": 3.0},
            "raw": {"median": 1.0, "min": 1.0, "max": 1.0},
        }
    }


def test_the_text_has_figures_ratios_and_verdicts() -> None:
    text = report(
        swift=sample(1.4, 1.6, 1.5), raw=sample(1.0, 1.0, 1.0), drf=sample(1395.4, 1395.4, 1395.4)
    ).text()
    figures, ratios = (part.splitlines() for part in text.split("\n\n") if part.startswith("| case"))
    assert figures == [
        "| case |            swift | raw |   drf |",
        "| ---- | ---------------: | --: | ----: |",
        "| json | 1.50 (1.40-1.60) |   1 | 1,395 |",
    ]
    assert ratios[0].split() == ["|", "case", "|", "swift", "|", "drf", "|"]
    assert text.endswith("json: swift/raw 1.50 <= 1.70 reached (rounds 1.40 to 1.60)")


def test_a_case_that_a_subject_does_not_take_is_a_dash() -> None:
    samples = {("json", "raw"): sample(1.5), ("routes1", "swift"): sample(2.5)}
    rows = Report.of("inproc", "µs/request", samples, {}).text().splitlines()
    assert "| json    | 1.50 |     - |" in rows
    assert "| routes1 |    - |  2.50 |" in rows


# Exchanges


@pytest.mark.parametrize(
    ("response", "sentence"),
    [
        (Response(500, "application/json", b"{}"), "Expected 200, got 500 - at GET /json"),
        (Response(200, "text/plain", b"{}"), "Expected `application/json`, got `text/plain` - at GET /json"),
        (Response(200, "application/json", b"[]"), "Expected {'a': 1}, got [] - at GET /json"),
    ],
)
def test_a_wrong_answer_is_refused(response: Response, sentence: str) -> None:
    with pytest.raises(WrongAnswer) as refusal:
        Exchange(Request("/json"), 200, "application/json", {"a": 1}).check(response)
    assert str(refusal.value) == sentence


def test_a_right_answer_may_differ_in_charset_and_white_space() -> None:
    exchange = Exchange(Request("/json"), 200, "application/json", {"a": 1})
    exchange.check(Response(200, "application/json; charset=utf-8", b'{ "a": 1 }'))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
async def test_the_floor_answers_every_case_rightly(case: Case) -> None:
    await load("raw").verify(case)


async def test_a_subject_that_does_not_validate_is_found_out() -> None:
    async def echo(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": (await receive())["body"]})

    with pytest.raises(WrongAnswer, match="raw, post: Expected 400 or 422 for an invalid request, got 200"):
        await Subject("raw", {"post": echo}, unvalidated=()).verify(CASES["post"])
    await Subject("raw", {"post": echo}, unvalidated=("post",)).verify(CASES["post"])


def test_no_two_requests_share_what_a_framework_may_change() -> None:
    first, second = CASES["post"].exchanges[0].request.scope(), CASES["post"].exchanges[0].request.scope()
    assert first == second
    assert first["state"] is not second["state"]
    assert first["headers"] is not second["headers"]
    assert dict(first["headers"])[b"content-length"] == b"%d" % len(json.dumps(ORDER, separators=(",", ":")))


async def test_an_application_that_does_not_start_is_reported() -> None:
    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    with pytest.raises(RuntimeError, match="did not start: no database"):
        async with lifespan(failing):
            pass


async def test_an_application_is_started_and_stopped_or_left_alone() -> None:
    received: list[str] = []

    async def living(scope: Scope, receive: Receive, send: Send) -> None:
        for _ in range(2):
            message: Message = await receive()
            received.append(message["type"])
            await send({"type": message["type"] + ".complete"})

    async def ignorant(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError(scope["type"])

    async with lifespan(living), lifespan(ignorant):
        assert received == ["lifespan.startup"]
    assert received == ["lifespan.startup", "lifespan.shutdown"]


async def test_calls_are_counted_with_receive_and_send() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    assert (await ask(app, Request("/"))).status == 204
    assert await count(app, Request("/")) == 4


# The command


def test_options_refuse_a_name_the_bench_does_not_have() -> None:
    with pytest.raises(Unavailable, match="There is no case `jsno` in this bench; it has json, post"):
        Options(cases=("jsno",)).choose_cases(["json", "post"])


def test_a_missing_framework_is_left_out_with_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert [subject.name for subject in installed(["nowhere", "raw"])] == ["raw"]
    assert capsys.readouterr().err == "nowhere is left out: No module named 'bench.subjects.nowhere'.\n"


@pytest.mark.parametrize(("bench", "case"), [("inproc", "json"), ("calls", "params")])
def test_a_bench_prints_its_table_and_writes_its_json(
    bench: str, case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "found.json"
    assert main([bench, "--quick", "--subjects", "raw", "--cases", case, "--json", str(file)]) == 0
    found = json.loads(file.read_text(encoding="utf-8"))
    assert found["bench"] == bench
    assert list(found["cases"]) == [case]
    figures = found["cases"][case]["raw"]
    assert 0 < figures["min"] <= figures["median"] <= figures["max"]
    assert f"| {case} |" in capsys.readouterr().out


def test_an_unknown_subject_ends_with_two(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inproc", "--subjects", "nobody"]) == 2
    assert capsys.readouterr().err.startswith("There is no subject `nobody` in this bench; it has swift, raw")


def test_the_help_lists_every_bench(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    out = capsys.readouterr().out
    assert all(f"{name:8} " in out for name in BENCHES)


def test_a_future_is_measured_beside_asyncio(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written = tmp_path / "futures.json"
    assert main(["futures", "--quick", "--cases", "ready_await", "--json", str(written)]) == 0
    found = json.loads(written.read_text())
    assert found["unit"] == "ns"
    assert set(found["cases"]["ready_await"]) == set(found["versions"]) == {"swift", "asyncio"}
    assert "times asyncio" in capsys.readouterr().out


# Servers


@pytest.mark.parametrize("bench", ["servers", "sqlite"])
def test_what_loads_servers_needs_wrk_and_says_how_to_get_it(
    bench: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main([bench]) == 2
    assert "apt-get install wrk" in capsys.readouterr().err


def test_wrk_s_count_is_read() -> None:
    assert (
        request_count("  Req/Sec  65.1k\n  129801 requests in 2.00s, 18.57MB read\nRequests/sec:  64900.25\n")
        == 129801
    )


@pytest.mark.parametrize(
    "line", ["  Non-2xx or 3xx responses: 3", "  Socket errors: connect 0, read 1, write 0, timeout 0"]
)
def test_failed_requests_do_not_count(line: str) -> None:
    with pytest.raises(WrongAnswer, match=line.strip()):
        request_count(f"  129801 requests in 2.00s, 18.57MB read\n{line}\n")


def test_a_server_that_could_not_work_all_the_time_is_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    server = Server(port=0, group=0)
    busy = Load(server, "/", busy_seconds=6.9, seconds=7.0)
    warn_of_idling("uvicorn", [busy])
    assert capsys.readouterr().err == ""
    warn_of_idling("uvicorn", [busy, Load(server, "/", busy_seconds=3.5, seconds=7.0)])
    assert "uvicorn: some subject was busy for only 50% of its rounds" in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("taskset") is None, reason="taskset (util-linux) is not installed")
def test_a_server_answers_while_it_is_served_and_has_ended_afterwards() -> None:
    with served("hypercorn", load("raw")) as server:
        exchange = CASES["plaintext"].exchanges[0]
        exchange.check(fetch(server.port, exchange.request))
        assert 0 < server.cpu_seconds() < 60
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), timeout=1)
    assert server.cpu_seconds() == 0


def test_the_peers_are_pinned() -> None:
    lines = (ROOT / "bench" / "requirements.txt").read_text().splitlines()
    assert all("==" in line for line in lines if line and not line.startswith("#"))


# An app with a table

# The ones that need nothing but what the product itself needs.
OWN_SUBJECTS = ("swift", "raw_sqlite3")


@pytest.mark.parametrize("case", TABLE_CASES.values(), ids=TABLE_CASES.keys())
@pytest.mark.parametrize("name", OWN_SUBJECTS)
async def test_a_subject_answers_every_case_on_its_table_rightly(
    name: str, case: TableCase, tmp_path: Path
) -> None:
    await sqlite.verify(stored.load(name), case, tmp_path / "records.db")


async def test_a_wrong_answer_names_its_subject_and_case(tmp_path: Path) -> None:
    subject = stored.load("raw_sqlite3")
    fewer = stored.StoredSubject(
        "raw_sqlite3",
        subject.application,
        lambda database, records: subject.seed(database, records[:-1]),
        unvalidated=(),
    )
    with pytest.raises(
        WrongAnswer, match="raw_sqlite3, by_id: Expected 200, got 404 - at GET /records/10000"
    ):
        await sqlite.verify(fewer, TABLE_CASES["by_id"], tmp_path / "records.db")


@pytest.mark.parametrize("name", OWN_SUBJECTS)
async def test_the_table_is_as_before_when_it_is_restored(name: str, tmp_path: Path) -> None:
    subject, case, database = stored.load(name), TABLE_CASES["insert"], tmp_path / "records.db"
    await sqlite.verify(subject, case, database)
    sqlite.restore(database, case.rows)
    app = subject.application(database)
    async with lifespan(app):
        answer = await ask(app, Request("/records"))
    assert in_utc(json.loads(answer.body)) == in_utc([record(number) for number in range(1, case.rows + 1)])


@pytest.mark.parametrize("name", OWN_SUBJECTS)
async def test_every_database_is_in_wal_mode(name: str, tmp_path: Path) -> None:
    database = tmp_path / "records.db"
    await sqlite.seed(stored.load(name), TABLE_CASES["list100"], database)
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_an_instant_without_a_zone_is_the_same_in_utc() -> None:
    with_zone = record(1)
    without = with_zone | {"created_at": with_zone["created_at"].removesuffix("Z")}
    later = with_zone | {"created_at": "2026-03-01T13:01:00Z"}
    assert in_utc([with_zone]) == in_utc([without])
    assert in_utc(with_zone) != in_utc(later)
    assert in_utc(with_zone | {"created_at": "2026-03-01T13:01:00+01:00"}) == in_utc(with_zone)


def test_wrk_asks_for_ids_that_are_there_and_inserts_what_was_verified() -> None:
    assert f"math.random({MANY})" in RANDOM_IDS
    assert TABLE_CASES["by_id"].rows == MANY
    assert json.loads(TABLE_CASES["insert"].script.partition("[[")[2].partition("]]")[0]) == NEW


def test_a_load_is_prepared_before_each_of_its_rounds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    done: list[str] = []
    wrk = tmp_path / "taskset"
    wrk.write_text(f"#!/bin/sh\necho $* >> {tmp_path}/asked\necho 70 requests in 1.00s, 1MB read\n")
    wrk.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    server = Server(port=8000, group=os.getpgid(0))
    script = tmp_path / "ask.lua"
    load = Load(server, "/records", script, prepare=lambda: done.append("prepared"))
    assert press_in_turn("insert", {"raw": load}, rounds=2, seconds=3)["raw"].min > 0
    asked = (tmp_path / "asked").read_text().splitlines()
    assert len(done) == len(asked) == 3
    assert asked[-1].endswith(f"--duration 3s --script {script} http://127.0.0.1:8000/records")


async def test_the_served_application_is_that_of_its_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    database = tmp_path / "records.db"
    case = TABLE_CASES["list100"]
    await sqlite.seed(stored.load("raw_sqlite3"), case, database)
    monkeypatch.setenv("BENCH_SUBJECT", "raw_sqlite3")
    monkeypatch.setenv("BENCH_DATABASE", str(database))
    app = runpy.run_module("bench.sqlite_served")["asgi"]
    async with lifespan(app):
        await Subject("raw_sqlite3", {"list100": app}, ()).verify(case.case)


def test_the_versions_name_what_the_subjects_stand_on() -> None:
    found = sqlite.versions([stored.load(name) for name in OWN_SUBJECTS])
    assert list(found) == [*OWN_SUBJECTS, "aiosqlite", "sqlalchemy", "uvicorn", "sqlite"]
    assert found["sqlite"] == sqlite3.sqlite_version
