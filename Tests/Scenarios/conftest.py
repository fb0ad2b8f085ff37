"""Fixtures of the scenarios: each test gets a folder of its own, and leaves no process and no socket behind."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from harness import leaks, processes
from harness.certificates import Authority
from harness.proxy_process import BINARY, Proxy
from harness.scripted_server import ScriptedServer, answering


@pytest.fixture(scope="session", autouse=True)
def binary():
    assert os.access(BINARY, os.X_OK), f"{BINARY} is not there: make release"
    processes.adopt_orphans()
    return BINARY


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


def starter(folder, made):
    def start(config=None, ready=True, **options):
        place = folder if not made else folder / f"proxy-{len(made)}"
        place.mkdir(exist_ok=True)
        proxy = Proxy(place, config, **options)
        made.append(proxy)
        leaks.RUNNING.add(proxy.pid)
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
        except Exception as failure:
            failures.append(failure)
            proxy.kill_all()
        leaks.RUNNING.discard(proxy.pid)
    # Only now, for two of them may share a folder.
    left = [path for proxy in made for path in proxy.leftovers()]
    leaks.check_nothing_is_left()
    assert not failures, failures
    assert not left, left


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
