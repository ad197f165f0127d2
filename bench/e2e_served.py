"""What the servers import: the application of the subject BENCH_SUBJECT on the database at BENCH_DSN."""

from __future__ import annotations

import os

from bench.subjects.e2e import load

app = load(os.environ["BENCH_SUBJECT"]).application(os.environ["BENCH_DSN"])
