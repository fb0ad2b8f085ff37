import os
import sys

import pytest

from master import HOST, Zygote

sys.path.insert(0, HOST)
sys.dont_write_bytecode = True

APPS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "apps")

# Each Python that is here.
PYTHONS = sorted(
    path for path in [os.path.expanduser("~/.pyenv/versions/%s/bin/python" % each)
                      for each in ("3.9.18", "3.10.13", "3.11.7", "3.12.1", "3.13.0")]
    if os.path.exists(path)) or [sys.executable]


@pytest.fixture
def start():
    """Starts zygotes that end with the test."""
    started = []

    def make(app, folder=APPS, **more):
        zygote = Zygote(app, folder, **more)
        started.append(zygote)
        return zygote

    yield make
    for zygote in started:
        zygote.close()


@pytest.fixture
def worker(start):
    """One worker with one thread that serves `pages:app`."""
    zygote = start("pages:app")
    zygote.imported()
    return zygote.fork()


@pytest.fixture
def site(tmp_path):
    """Writes an app's files: `site(app="…", **{"shop/wsgi": "…"})` gives their folder."""

    def write(**files):
        for name, source in files.items():
            path = tmp_path / (name + ".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source)
        return tmp_path

    return write
