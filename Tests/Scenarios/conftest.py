"""Fixtures of the scenarios: each test gets a folder of its own, and leaves no process and no socket behind."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from harness import processes
from harness.certificates import Authority
from harness.proxy_process import BINARY, Proxy
from harness.scripted_server import ScriptedServer, answering
from harness.wire import until


def pytest_sessionstart(session):
    processes.adopt_orphans()


def pytest_configure(config):
    if not os.access(BINARY, os.X_OK):
        raise pytest.UsageError(f"{BINARY} is not there: make release")


def new_folder():
    # Readable by the unprivileged users that the proxy's children become, and short, for socket paths.
    folder = Path(tempfile.mkdtemp(prefix="proxy-"))
    folder.chmod(0o755)
    return folder


@pytest.fixture
def folder():
    made = new_folder()
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def module_folder():
    made = new_folder()
    yield made
    shutil.rmtree(made)


def reap_orphans(known):
    """Reaps the zombies that came to this process by adoption; never those that `subprocess` waits for."""
    for process in processes.all_processes().values():
        if process.parent == os.getpid() and process.state == "Z" and process.pid not in known:
            os.waitpid(process.pid, os.WNOHANG)


# Proxies that run, those of a whole file among them.
RUNNING = set()


def left_behind():
    reap_orphans(RUNNING)
    expected = {process.pid for pid in RUNNING for process in processes.descendants(pid)} | RUNNING
    return [process for process in processes.descendants(os.getpid()) if process.pid not in expected]


def check_nothing_is_left():
    try:
        until(lambda: not left_behind(), "the end of every child", seconds=5)
    except AssertionError:
        left = left_behind()
        for process in left:
            os.kill(process.pid, 9)
        raise AssertionError(f"processes left behind: {left}") from None


def starter(folder, made):
    def start(config, ready=True, **options):
        place = folder if not made else folder / f"proxy-{len(made)}"
        place.mkdir(exist_ok=True)
        proxy = Proxy(place, config, **options)
        made.append(proxy)
        RUNNING.add(proxy.pid)
        return proxy.ready() if ready else proxy
    return start


def end(made):
    failures = []
    for proxy in made:
        try:
            stopped_by_test = proxy.process.poll() is not None
            code = proxy.stop()
            assert stopped_by_test or code == 0, f"exit code {code}:\n{proxy.errors}"
            assert "Fatal error" not in proxy.errors and "Swift runtime failure" not in proxy.errors, proxy.errors
            assert proxy.leftovers() == []
        except Exception as failure:
            failures.append(failure)
            proxy.kill_all()
        RUNNING.discard(proxy.pid)
    check_nothing_is_left()
    assert not failures, failures


@pytest.fixture
def start_proxy(folder):
    """Starts proxies that are stopped, and checked for what they leave, at the end of the test."""
    made = []
    yield starter(folder, made)
    end(made)


@pytest.fixture(scope="module")
def start_shared_proxy(module_folder):
    """The same for a proxy that all the tests of a file use."""
    made = []
    yield starter(module_folder, made)
    end(made)


@pytest.fixture
def serve(folder):
    """Starts scripted servers: `serve(script)`, `serve(script, unix=True)`, or `serve()` for one that answers `ok`."""
    made = []

    def start(script=None, unix=False, **options):
        path = str(folder / f"server-{len(made)}.sock") if unix else None
        made.append(ScriptedServer(script or answering(), path=path, **options))
        return made[-1]
    yield start
    for server in made:
        server.close()


@pytest.fixture(scope="session")
def authority():
    """A certificate authority made by the `openssl` command, and certificates of every kind from it."""
    folder = new_folder()
    yield Authority(folder)
    shutil.rmtree(folder)
