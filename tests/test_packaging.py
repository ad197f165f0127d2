"""What is built is what is installed: wheel and sdist carry the kernels' sources, types and the page's assets."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv*", "build", "dist", "*.egg-info", "__pycache__", "*.so", ".mypy_cache", ".hypothesis"
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("built")
    shutil.copytree(ROOT, folder / "source", ignore=LEFT_OUT)
    backend = "import setuptools.build_meta as b, sys; print(b.build_{kind}(sys.argv[1]))"
    run(folder / "source", sys.executable, "-c", backend.format(kind="sdist"), str(folder))
    (sdist,) = folder.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    (unpacked,) = (folder / "unpacked").iterdir()
    run(unpacked, sys.executable, "-c", backend.format(kind="wheel"), str(folder))
    return folder


def run(cwd: Path, *command: str, **env: str) -> str:
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=600, env={**os.environ, **env}, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_holds_what_it_needs_to_run(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for kernel in ("http", "kernel", "query", "router"):
        assert any(
            name.startswith(f"swift/_speedups/{kernel}.") and name.endswith((".so", ".pyd")) for name in names
        )
        assert f"swift/_speedups/{kernel}.pyi" in names
    assert "swift/py.typed" in names
    assert "swift/openapi/assets/swagger-ui-bundle.js" in names
    assert not [name for name in names if name.startswith(("tests/", "bench/", "build/"))]


def test_the_installed_wheel_serves(built: Path, tmp_path: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    program = (
        "import asyncio, swift\n"
        "from swift.testing import TestClient\n"
        "assert 'site' in swift.__file__, swift.__file__\n"
        "app = swift.App()\n"
        "@app.get('/hello')\n"
        "async def hello() -> str: return 'hello'\n"
        "async def main():\n"
        "    async with TestClient(app) as client:\n"
        "        assert (await client.get('/hello')).text == 'hello'\n"
        "        assert (await client.get('/docs/assets/swagger-ui.css')).status == 200\n"
        "asyncio.run(main())\n"
    )
    run(tmp_path, sys.executable, "-c", program, PYTHONPATH=str(tmp_path / "site"))
