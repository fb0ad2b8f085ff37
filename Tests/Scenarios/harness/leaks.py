"""Processes that a test left behind, wherever their parents went."""

import os

from harness import processes
from harness.wire import until

# Proxies that run, those of a whole file among them.
RUNNING = set()


def reap_orphans(known):
    """Reaps the zombies that came to this process by adoption; never those that `subprocess` waits for."""
    for process in processes.all_processes().values():
        if process.parent == os.getpid() and process.state == "Z" and process.pid not in known:
            os.waitpid(process.pid, os.WNOHANG)


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
