"""What uvicorn imports: the application of the subject BENCH_SUBJECT on the database BENCH_DATABASE."""

from __future__ import annotations

import os
from pathlib import Path

from bench.subjects.sqlite import load

asgi = load(os.environ["BENCH_SUBJECT"]).application(Path(os.environ["BENCH_DATABASE"]))
