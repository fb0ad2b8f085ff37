"""Processes below this one, as the kernel lists them."""

import ctypes
import os
import subprocess
from dataclasses import dataclass

PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans():
    """Makes processes whose parent died children of this one, so that none can be left behind unseen."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


@dataclass(frozen=True)
class Process:
    pid: int
    parent: int
    state: str
    arguments: str


def all_processes():
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat") as file:
                text = file.read()
            with open(f"/proc/{name}/cmdline", "rb") as file:
                arguments = file.read().replace(b"\0", b" ").decode(errors="replace").strip()
        except (FileNotFoundError, ProcessLookupError):
            continue
        command, rest = text[text.index("(") + 1:text.rindex(")")], text[text.rindex(")") + 2:].split()
        found[int(name)] = Process(int(name), int(rest[1]), rest[0], arguments or command)
    return found


def session_of(pid):
    """The session of a process, and its terminal's device, 0 for none."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return int(fields[3]), int(fields[4])


def descendants(pid):
    """All living processes below `pid`, zombies left out."""
    processes = all_processes()
    below, waiting = [], [pid]
    while waiting:
        parent = waiting.pop()
        children = [process for process in processes.values() if process.parent == parent]
        below += children
        waiting += [child.pid for child in children]
    return [process for process in below if process.state not in "ZX"]


def is_alive(pid):
    process = all_processes().get(pid)
    return process is not None and process.state not in "ZX"


def descriptors(pid):
    """What each open descriptor of a process points to."""
    targets = []
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            targets.append(os.readlink(f"/proc/{pid}/fd/{name}"))
        except FileNotFoundError:
            continue
    return targets


def limit(pid, resource, value):
    """Lowers or restores a soft limit of a process, as its own user: root may lack the right over others."""
    arguments = ["prlimit", f"--pid={pid}", f"--{resource}={value}:"]
    user = user_of(pid)
    if user != os.getuid():
        arguments = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *arguments]
    subprocess.run(arguments, check=True)


def user_of(pid):
    """The effective user id of a process."""
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[2]) for line in file if line.startswith("Uid:"))
