"""What the servers import: the `plaintext` application of the subject that BENCH_SUBJECT names."""

from __future__ import annotations

import os

from bench.subjects import load

_subject = load(os.environ["BENCH_SUBJECT"])

asgi = _subject.apps["plaintext"]
rsgi = _subject.rsgi
