"""The command line, as a person or an init system uses it: real processes, real sockets, real signals."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

import swift

SERVERS = ("hypercorn", "uvicorn", "granian")
COMMAND = (sys.executable, "-m", "swift")

# Enough for a process to start on a machine that runs other tests too; nothing waits for it in vain.
PATIENCE = 30.0

APP = """
import asyncio, os, sys
from contextlib import asynccontextmanager
from swift import App, Router
from swift.middleware import ForwardedMiddleware

@asynccontextmanager
async def lifespan(app):
    print("lifespan started", flush=True)
    yield
    print("lifespan ended", flush=True)

asgi = App(lifespan=lifespan, title="Shop", version="1.2.3")

@asgi.get("/")
async def index() -> str:
    return "one"

@asgi.get("/slow")
async def slow(seconds: float = 1.0) -> str:
    open(f"started-{os.getpid()}", "w").close()
    await asyncio.sleep(seconds)
    return "done"

@asgi.get("/pid")
async def pid() -> dict[str, int]:
    return {"pid": os.getpid()}

items = Router(prefix="/items")

@items.post("/{id:int}", name="items-create")
async def create_item(id: int) -> dict[str, int]:
    return {"id": id}

asgi.include(items)

behind_proxy = ForwardedMiddleware(asgi, trusted=["10.0.0.0/8"])
text = "not an application"
number = 3

def create():
    return asgi

async def create_async():
    return asgi

def create_with(option):
    return asgi

def broken():
    raise RuntimeError("no database")

async def raw(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"raw"})
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


def environment(**variables: str) -> dict[str, str]:
    """The environment of the tests, without what configures the command, with the package importable."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SWIFT_")}
    for name in ("HOST", "PORT", "DEBUG", "WEB_CONCURRENCY"):
        kept.pop(name, None)
    path = [str(Path(swift.__file__).parent.parent), *kept.get("PYTHONPATH", "").split(os.pathsep)]
    return {**kept, "PYTHONPATH": os.pathsep.join(filter(None, path)), "PYTHONUNBUFFERED": "1", **variables}


def call(*args: str, cwd: Path, command: tuple[str, ...] = COMMAND, **variables: str):
    return subprocess.run(
        [*command, *args], cwd=cwd, env=environment(**variables), capture_output=True, text=True, timeout=60
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A running `swift-api run`, and a client for it."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        log: Path,
        client: httpx.Client,
        address: tuple[str, int] | str,
    ) -> None:
        self.process = process
        self.address = address
        self.family = (
            socket.AF_UNIX
            if isinstance(address, str)
            else socket.AF_INET6
            if ":" in address[0]
            else socket.AF_INET
        )
        self.log = log
        self.client = client

    @property
    def output(self) -> str:
        return self.log.read_text()

    def wait_until_ready(self, workers: int = 1) -> httpx.Response:
        """The answer of the root, once so many workers have started."""
        deadline = time.monotonic() + PATIENCE
        while not self.listens() or (workers > 1 and self.output.count("lifespan started") < workers):
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the server did not start:\n{self.output}")
            time.sleep(0.05)
        return self.client.get("/")

    def listens(self) -> bool:
        with socket.socket(self.family) as probe:
            return probe.connect_ex(self.address) == 0

    def wait_for_answer(self, expected: str) -> None:
        """Until the root answers `expected`; the server may be away in the meantime."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                if self.client.get("/").text == expected:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.05)
        pytest.fail(f"never answered {expected!r}:\n{self.output}")

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@contextmanager
def running(
    cwd: Path,
    *args: str,
    command: tuple[str, ...] = COMMAND,
    host: str = "127.0.0.1",
    uds: Path | None = None,
    **variables: str,
) -> Iterator[Server]:
    port = free_port()
    where = ("--host", host, "--port", str(port)) if uds is None else ("--uds", str(uds))
    if "PORT" in variables:
        port, where = int(variables["PORT"]), ()
    log = cwd / "server.log"
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    transport = httpx.HTTPTransport(uds=None if uds is None else str(uds))
    with (
        log.open("wb") as output,
        httpx.Client(base_url=url, transport=transport, timeout=PATIENCE) as client,
        subprocess.Popen(
            [*command, "run", *args, *where],
            cwd=cwd,
            env=environment(**variables),
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            yield Server(process, log, client, (host, port) if uds is None else str(uds))
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()


# What needs no server


def test_version_names_swift_and_python(tmp_path):
    result = call("version", cwd=tmp_path)

    assert result.returncode == 0
    assert result.stdout.startswith(f"swift-api {swift.__version__} (")
    assert sys.version.split()[0] in result.stdout


def test_help_lists_the_commands(tmp_path):
    result = call("--help", cwd=tmp_path)

    assert result.returncode == 0
    assert all(f"  {name} " in result.stdout for name in ("openapi", "routes", "run", "version"))


def test_without_a_command_the_help_is_shown(tmp_path):
    result = call(cwd=tmp_path)

    assert "Commands:" in result.stdout + result.stderr


@pytest.mark.parametrize(
    "args", [("rnu",), ("run",), ("run", "app:asgi", "--port", "x"), ("routes", "--nope")]
)
def test_wrong_usage_has_exit_code_2(args, tmp_path):
    result = call(*args, cwd=tmp_path)

    assert result.returncode == 2
    assert result.stdout == ""
    assert "Error: " in result.stderr


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["app"], "`app` is no target; write `module:attribute`, as in `app:asgi`."),
        (["app:"], "`app:` is no target; write `module:attribute`, as in `app:asgi`."),
        (["nope:asgi"], "There is no module `nope` in {cwd} or on the import path."),
        (["nope.inner:asgi"], "There is no module `nope` in {cwd} or on the import path."),
        (["app.py:asgi"], "There is no module `app.py` in {cwd} or on the import path; write `app`."),
        (["app:agsi"], "Module `app` has no attribute `agsi`; did you mean `asgi`?"),
        (["app:xyzzy"], "Module `app` has no attribute `xyzzy`."),
        (["app:asgi.inner"], "`App` in `app:asgi.inner` has no attribute `inner`."),
        (["app:text"], "`app:text` is a str, not an ASGI application."),
        (["app:number", "--factory"], "`app:number` is a int, not a function; leave --factory out."),
        (
            ["app:create"],
            "`app:create` is a function without parameters; if it makes the application, add --factory.",
        ),
        (
            ["app:create_async", "--factory"],
            "The factory `app:create_async` is `async`; make it a plain function.",
        ),
        (
            ["app:create_with", "--factory"],
            "The factory `app:create_with` failed: TypeError: create_with() missing",
        ),
        (
            ["app:broken", "--factory"],
            "The factory `app:broken` failed: RuntimeError: no database ({cwd}/app.py, line",
        ),
        (["app:raw"], "`app:raw` is not a Swift application; only an App knows its routes."),
        (
            ["needs:asgi"],
            "Module `needs` cannot be imported: ModuleNotFoundError: No module named 'missing_one' (",
        ),
        (
            ["syntax:asgi"],
            "Module `syntax` cannot be imported: SyntaxError: invalid syntax ({cwd}/syntax.py, line 1).",
        ),
        (["wrong:asgi"], "Module `wrong` cannot be imported: ValueError: no good ({cwd}/wrong.py, line 2)."),
        (["leaves:asgi"], "Module `leaves` called sys.exit(4) while it was imported."),
        (["unset:asgi"], "Module `unset` cannot be imported: 2 mistakes in the settings:\n- "),
    ],
)
def test_a_target_that_cannot_be_used_is_explained_in_one_sentence(args, sentence, project):
    (project / "needs.py").write_text("import missing_one\n")
    (project / "syntax.py").write_text("def def\n")
    (project / "wrong.py").write_text("def fail():\n    raise ValueError('no good.')\nfail()\n")
    (project / "leaves.py").write_text("raise SystemExit(4)\n")
    (project / "unset.py").write_text(
        "from swift.settings import Settings\nSettings.load(env={'PORT': 'x', 'DEBUG': 'y'})\n"
    )
    result = call("routes", *args, cwd=project)

    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.startswith("Error: " + sentence.format(cwd=os.path.realpath(project)))
    assert "Traceback" not in result.stderr
    assert len(result.stderr.splitlines()) == (4 - 1 if "\n" in sentence else 1)


def test_routes_are_an_aligned_table(project):
    result = call("routes", "app:asgi", cwd=project)

    assert result.returncode == 0
    lines = [line for line in result.stdout.splitlines() if "/openapi" not in line and "/docs" not in line]
    cells = [line.split() for line in lines]
    assert cells == [
        ["METHODS", "PATH", "NAME", "HANDLER"],
        ["GET", "/", "index", "app:index"],
        ["GET", "/slow", "slow", "app:slow"],
        ["GET", "/pid", "pid", "app:pid"],
        ["POST", "/items/{id:int}", "items-create", "app:create_item"],
    ]
    for column in ("PATH", "NAME", "HANDLER"):
        start = lines[0].index(column)
        assert all(line[start - 1] == " " and line[start] != " " for line in lines)


@pytest.mark.parametrize("args", [["app:behind_proxy"], ["app:create", "--factory"]])
def test_the_app_is_found_behind_wrappers_and_factories(args, project):
    result = call("routes", *args, cwd=project)

    assert result.returncode == 0
    assert "app:create_item" in result.stdout


def test_mounts_and_hosts_are_listed_too(project):
    (project / "hosted.py").write_text(
        "from functools import partial\n"
        "from swift import App, Router\n"
        "from app import raw\n"
        "asgi = App(openapi_url=None, docs_url=None)\n"
        "asgi.mount('/raw', raw)\n"
        "api = Router(host='api.example.com')\n"
        "async def handler(a: int = 1) -> str: return ''\n"
        "api.get('/a', name='a')(partial(handler, a=2))\n"
        "asgi.include(api)\n"
    )
    result = call("routes", "hosted:asgi", cwd=project)

    assert result.returncode == 0, result.stderr
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["HOST", "METHODS", "PATH", "NAME", "HANDLER"],
        ["api.example.com", "GET", "/a", "a", "hosted:handler"],
        ["*", "/raw/*", "app:raw"],
    ]


def test_openapi_is_printed_as_json(project):
    result = call("openapi", "app:asgi", cwd=project)
    document = json.loads(result.stdout)

    assert result.returncode == 0
    assert document["openapi"].startswith("3.")
    assert document["info"] == {"title": "Shop", "version": "1.2.3"}
    assert "/items/{id}" in document["paths"]


def test_openapi_is_written_to_a_file(project):
    result = call("openapi", "app:asgi", "--output", "openapi.json", cwd=project)

    assert (result.returncode, result.stdout) == (0, "")
    assert json.loads((project / "openapi.json").read_text())["info"]["title"] == "Shop"


def test_a_file_that_cannot_be_written_is_one_sentence(project):
    result = call("openapi", "app:asgi", "-o", "missing/openapi.json", cwd=project)

    assert result.returncode == 1
    assert result.stderr == "Error: missing/openapi.json cannot be written: No such file or directory.\n"


# Serving


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("server", SERVERS)
def test_sigterm_drains_the_running_request_and_ends_with_0(server, workers, project):
    with running(project, "app:asgi", "--server", server, "--workers", workers) as served:
        assert served.wait_until_ready(int(workers)).text == "one"
        with ThreadPoolExecutor() as pool:
            slow = pool.submit(served.client.get, "/slow")
            wait_for(lambda: list(project.glob("started-*")))
            code = served.stop()

            assert (slow.result().status_code, slow.result().text) == (200, "done")
        assert code == 0
        assert served.output.count("lifespan ended") == int(workers)
        assert "Traceback" not in served.output
        with pytest.raises(httpx.ConnectError):
            served.client.get("/")


@pytest.mark.parametrize("server", SERVERS)
def test_ctrl_c_ends_with_0(server, project):
    with running(project, "app:asgi", "--server", server) as served:
        served.wait_until_ready()

        assert served.stop(signal.SIGINT) == 0
        assert "lifespan ended" in served.output
        assert "Traceback" not in served.output


@pytest.mark.parametrize("server", SERVERS)
def test_a_request_that_does_not_end_is_given_up_after_the_grace(server, project):
    with running(project, "app:asgi", "--server", server, "--graceful-timeout", "1") as served:
        served.wait_until_ready()
        with ThreadPoolExecutor() as pool:
            slow = pool.submit(served.client.get, "/slow?seconds=60")
            wait_for(lambda: list(project.glob("started-*")))
            started = time.monotonic()
            served.stop()

            assert time.monotonic() - started < 15
            with pytest.raises(httpx.HTTPError):
                slow.result().raise_for_status()


@pytest.mark.parametrize("server", SERVERS)
def test_a_unix_socket_is_served_and_removed(server, project):
    path = project / "s"
    with running(project, "app:asgi", "--server", server, uds=path) as served:
        assert served.wait_until_ready().text == "one"
        assert served.stop() == 0

    assert not path.exists()


@pytest.mark.parametrize("server", SERVERS)
def test_more_workers_answer_from_processes_of_their_own(server, project):
    with running(project, "app:asgi", "--server", server, "--workers", "2") as served:
        served.wait_until_ready(2)
        pids = {served.client.get("/pid").json()["pid"] for _ in range(5)}

        assert served.process.pid not in pids


def test_factories_and_foreign_applications_are_served_as_well(project):
    for args in (["app:create", "--factory"], ["app:raw"], ["app:behind_proxy"]):
        with running(project, *args) as served:
            assert served.wait_until_ready().text == ("raw" if args == ["app:raw"] else "one")
            assert served.stop() == 0


def test_ipv6_is_served(project):
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6")
    with running(project, "app:asgi", host="::1") as served:
        assert served.wait_until_ready().text == "one"


def test_the_environment_gives_the_port(project):
    with running(project, "app:asgi", PORT=str(free_port())) as served:
        assert served.wait_until_ready().text == "one"


def test_the_settings_of_the_application_give_the_port(project):
    port = free_port()
    (project / "system.toml").write_text(f"[server]\nport = {port}\n[global]\nlog_level = 'debug'\n")
    (project / "configured.py").write_text(
        "from swift.settings import Settings\n"
        "from app import asgi as app\n"
        "class Wrapper:\n"
        "    settings = Settings.load()\n"
        "    async def __call__(self, scope, receive, send):\n"
        "        await app(scope, receive, send)\n"
        "asgi = Wrapper()\n"
    )
    log = project / "server.log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [*COMMAND, "run", "configured:asgi"], cwd=project, env=environment(), stdout=output, stderr=output
        ) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        served = Server(process, log, client, ("127.0.0.1", port))
        try:
            assert served.wait_until_ready().text == "one"
        finally:
            assert served.stop() == 0


@pytest.mark.parametrize("server", SERVERS)
def test_the_access_log_is_written_when_asked_for(server, project):
    for args, logged in ((["--access-log"], True), ([], False)):
        with running(project, "app:asgi", "--server", server, *args) as served:
            served.wait_until_ready()
            served.stop()

            assert ('"GET / ' in served.output) is logged


@pytest.mark.parametrize("server", SERVERS)
def test_no_server_names_itself_or_believes_forwarded_headers(server, project):
    (project / "who.py").write_text(
        "from swift import App, Request\n"
        "asgi = App()\n"
        "@asgi.get('/')\n"
        "async def who(request: Request) -> dict:\n"
        "    return {'client': request.client[0], 'scheme': request.scheme}\n"
    )
    with running(project, "who:asgi", "--server", server) as served:
        served.wait_until_ready()
        response = served.client.get(
            "/", headers={"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "https"}
        )

        assert response.json() == {"client": "127.0.0.1", "scheme": "http"}
        # granian has no switch for its Server header.
        assert ("server" in response.headers) is (server == "granian")


@pytest.mark.parametrize("interface", ["asgi", "rsgi"])
def test_granian_speaks_the_interface_that_is_asked_for(interface, project):
    (project / "door.py").write_text(
        "import sys\n"
        "from swift import App\n"
        "asgi = App()\n"
        "@asgi.get('/')\n"
        "async def caller() -> str:\n"
        "    frame = sys._getframe(1)\n"
        "    return '' if frame is None else frame.f_code.co_qualname\n"
    )
    with running(project, "door:asgi", "--server", "granian", "--interface", interface) as served:
        # Over RSGI no Python stands between the server and the kernel, so `App.__call__` did not call.
        assert (served.wait_until_ready().text == "App.__call__") is (interface == "asgi")


def test_rsgi_needs_an_app(project):
    (project / "plain.py").write_text("async def asgi(scope, receive, send): ...\n")
    result = call("run", "plain:asgi", "--server", "granian", "--interface", "rsgi", cwd=project)

    assert result.returncode == 2
    assert "plain:asgi is a plain ASGI application; leave --interface rsgi out." in result.stderr


# What goes wrong at the start


@pytest.mark.parametrize("server", SERVERS)
def test_a_busy_port_is_one_sentence(server, project):
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        result = call("run", "app:asgi", "--server", server, "--port", str(port), cwd=project)

    assert result.returncode == 1
    assert result.stderr == (
        f"Error: Cannot listen on 127.0.0.1:{port}: Address already in use;"
        " choose another --host or --port.\n"
    )


def test_a_host_that_is_not_ours_is_one_sentence(project):
    result = call("run", "app:asgi", "--host", "192.0.2.1", cwd=project)

    assert result.returncode == 1
    assert "Error: Cannot listen on 192.0.2.1:8000: " in result.stderr
    assert "Traceback" not in result.stderr


def test_a_file_is_not_replaced_by_a_socket(project):
    result = call("run", "app:asgi", "--uds", "app.py", cwd=project)

    assert result.returncode == 1
    assert result.stderr.startswith("Error: Cannot listen on app.py: Address already in use")
    assert (project / "app.py").read_text() == APP


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("server", SERVERS)
def test_an_application_that_does_not_start_is_no_success(server, workers, project):
    (project / "failing.py").write_text(
        "from contextlib import asynccontextmanager\n"
        "from swift import App\n"
        "@asynccontextmanager\n"
        "async def lifespan(app):\n"
        "    raise RuntimeError('no database')\n"
        "    yield\n"
        "asgi = App(lifespan=lifespan)\n"
    )
    result = call(
        "run",
        "failing:asgi",
        "--server",
        server,
        "--workers",
        workers,
        "--port",
        str(free_port()),
        cwd=project,
    )

    assert result.returncode == (1 if server == "granian" else 3)
    assert "no database" in result.stderr
    if server == "hypercorn":
        place = f"({os.path.realpath(project)}/failing.py, line 5)"
        assert f"The application failed to start or stop: RuntimeError: no database {place}." in result.stderr
        assert "Traceback" not in result.stderr


@pytest.mark.parametrize("server", SERVERS)
def test_workers_that_cannot_import_the_application_end_everything(server, project):
    (project / "parent_only.py").write_text(
        "import multiprocessing\n"
        "assert multiprocessing.parent_process() is None, 'not in a worker'\n"
        "from app import asgi\n"
    )
    args = ("run", "parent_only:asgi", "--server", server, "--workers", "2", "--port", str(free_port()))
    result = call(*args, cwd=project)

    assert result.returncode == (1 if server == "granian" else 3)
    assert "Module `parent_only` cannot be imported: AssertionError: not in a worker" in result.stderr


@pytest.mark.parametrize("server", SERVERS)
def test_a_server_that_is_missing_is_one_sentence(server, project):
    without = (
        sys.executable,
        "-c",
        f"import sys; sys.modules[{server!r}] = None; from swift.cli import main; main()",
    )
    result = call("run", "app:asgi", "--server", server, cwd=project, command=without)

    assert result.returncode == 1
    assert result.stderr == (
        f"Error: The server {server} is not installed: pip install swift-api[{server}]\n"
        if server != "hypercorn"
        else "Error: The server hypercorn is not installed: pip install hypercorn\n"
    )


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--reload", "--workers", "2"], "--reload serves with one worker"),
        (["--workers", "0"], "0 is not in the range x>=1"),
        (["--server", "gunicorn"], "'gunicorn' is not one of 'hypercorn', 'uvicorn', 'granian'"),
        (["--interface", "rsgi"], "hypercorn speaks ASGI only; --interface rsgi needs --server granian"),
    ],
)
def test_options_that_contradict_are_wrong_usage(args, message, project):
    result = call("run", "app:asgi", *args, cwd=project)

    assert result.returncode == 2
    assert message in result.stderr


# Workers that die, code that changes


def wait_for(condition, message="it did not happen"):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(message)
        time.sleep(0.02)


@pytest.mark.parametrize("server", ["hypercorn", "uvicorn"])
def test_a_worker_that_dies_is_replaced(server, project):
    settled = (
        sys.executable,
        "-c",
        "import swift.cli.supervisor as s; s.SETTLED_SECONDS = 0; from swift.cli import main; main()",
    )
    args = ("app:asgi", "--server", server, "--workers", "2")
    with running(project, *args, command=settled) as served:
        served.wait_until_ready(2)
        dead = served.client.get("/pid").json()["pid"]
        os.kill(dead, signal.SIGKILL)
        wait_for(lambda: "died with exit code -9" in served.output)
        wait_for(lambda: served.output.count("lifespan started") == 3)
        served.wait_for_answer("one")

        assert served.stop() == 0
        assert served.output.count("lifespan ended") == 2


@pytest.mark.parametrize("server", ["hypercorn", "uvicorn"])
def test_workers_do_not_outlive_their_parent(server, project):
    with running(project, "app:asgi", "--server", server, "--workers", "2") as served:
        served.wait_until_ready(2)
        served.process.kill()
        served.process.wait()
        wait_for(lambda: served.output.count("lifespan ended") == 2, "the workers live on")


@pytest.mark.parametrize("server", SERVERS)
def test_reload_serves_the_changed_code(server, project):
    if server == "granian":
        pytest.importorskip("watchfiles")
    with running(project, "app:asgi", "--server", server, "--reload") as served:
        served.wait_until_ready()
        (project / "app.py").write_text(APP.replace('"one"', '"two"'))
        served.wait_for_answer("two")

        assert served.stop() == 0


@pytest.mark.parametrize("watching", ["watchfiles", "polling"])
def test_reload_survives_a_half_written_file(watching, project):
    if watching == "watchfiles":
        pytest.importorskip("watchfiles")
        command = COMMAND
    else:
        source = "import sys; sys.modules['watchfiles'] = None; from swift.cli import main; main()"
        command = (sys.executable, "-c", source)
    with running(project, "app:asgi", "--reload", command=command) as served:
        served.wait_until_ready()
        (project / "app.py").write_text("def def")
        wait_for(lambda: "SyntaxError: invalid syntax" in served.output)
        (project / "app.py").write_text(APP.replace('"one"', '"three"'))
        served.wait_for_answer("three")

        assert served.stop() == 0


def test_granian_without_watchfiles_cannot_reload(project):
    source = "import sys; sys.modules['watchfiles'] = None; from swift.cli import main; main()"
    command = (sys.executable, "-c", source)
    result = call("run", "app:asgi", "--server", "granian", "--reload", cwd=project, command=command)

    assert result.returncode == 1
    assert result.stderr == "Error: --reload with granian needs watchfiles: pip install watchfiles\n"
