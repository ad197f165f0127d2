"""The house as a whole: public names, floors, types, style."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import swift

ROOT = Path(__file__).parent.parent


def run(*command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_public_names_are_these() -> None:
    assert swift.__all__ == [
        "UNSET",
        "App",
        "BadRequest",
        "Body",
        "Conflict",
        "Container",
        "Cookie",
        "Depends",
        "File",
        "FileResponse",
        "Forbidden",
        "Form",
        "Future",
        "HTMLResponse",
        "Header",
        "Inject",
        "JSONResponse",
        "Model",
        "NotFound",
        "Path",
        "Problem",
        "Query",
        "RedirectResponse",
        "Request",
        "Response",
        "Router",
        "Schema",
        "Secret",
        "Settings",
        "StaticFiles",
        "StreamingResponse",
        "TextResponse",
        "Unauthorized",
        "UploadFile",
        "__version__",
        "fields",
        "when_all",
    ]


@pytest.mark.parametrize("name", swift.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(swift, name) is not None
    assert name in dir(swift)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing_of_ours"):
        _ = swift.nothing_of_ours


def test_the_floors_are_kept() -> None:
    # import-linter has no `python -m` door.
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-logo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_types_are_complete() -> None:
    run("mypy")


def test_the_style_is_kept() -> None:
    run("ruff", "check", ".")
    run("ruff", "format", "--check", ".")


def test_every_compiled_module_tells_its_types() -> None:
    kernels = {path.stem for path in (ROOT / "swift/_speedups").glob("*.pyx")}
    assert kernels == {path.stem for path in (ROOT / "swift/_speedups").glob("*.pyi")}
    assert (ROOT / "swift/py.typed").exists()
