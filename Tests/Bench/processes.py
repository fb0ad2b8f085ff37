"""Processes pinned to a core, and what they cost: CPU time, user time and memory as the kernel counts them."""

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

PROXY_CORE = {0}
# Load generator and backend share the other core; on one core everything shares it, and the report says so.
OTHER_CORE = {1} if os.cpu_count() > 1 else {0}
TICKS = os.sysconf("SC_CLK_TCK")


def start(arguments, core, folder, **options):
    """Starts a program on one core; what it says goes to a file in `folder`."""
    path = Path(folder) / f"{Path(arguments[0]).name}.log"
    with open(path, "wb") as log:
        process = subprocess.Popen(
            list(map(str, arguments)), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            preexec_fn=lambda: os.sched_setaffinity(0, core), **options)
    process.log = path
    return process


def begin(arguments, core=OTHER_CORE):
    """Starts a program on one core; what it prints can be read from it."""
    return subprocess.Popen(
        list(map(str, arguments)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, core))


def run(arguments, core=OTHER_CORE, seconds=120, **options):
    """Runs a program on one core to its end and gives what it printed."""
    done = subprocess.run(
        list(map(str, arguments)), capture_output=True, text=True, timeout=seconds,
        preexec_fn=lambda: os.sched_setaffinity(0, core), **options)
    if done.returncode:
        raise RuntimeError(f"{arguments[0]} ended with {done.returncode}: {done.stdout[-500:]} {done.stderr[-1500:]}")
    return done.stdout + done.stderr


def stop(process, seconds=15):
    """Ends a program that `start` started: TERM, and after a while KILL for all that is below it."""
    family = tree(process.pid)
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for pid in family:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def tree(pid):
    """A process and all below it."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                text = Path(f"/proc/{name}/stat").read_text()
            except OSError:
                continue
            parents[int(name)] = int(text.rsplit(")", 1)[1].split()[1])
    family, waiting = [], [pid]
    while waiting:
        one = waiting.pop()
        family.append(one)
        waiting += [child for child, parent in parents.items() if parent == one]
    return family


@dataclass(frozen=True)
class Cost:
    """What a family of processes has used so far."""

    cpu_seconds: float  # on the CPU, to the nanosecond, from /proc/PID/task/*/schedstat
    user_seconds: float  # the share of it in user mode, from the kernel's ticks
    system_seconds: float
    switches: int

    def __sub__(self, other):
        return Cost(*(getattr(self, name) - getattr(other, name) for name in self.__dataclass_fields__))


def cost(pids):
    cpu = user = system = switches = 0
    for pid in pids:
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                cpu += int(Path(f"/proc/{pid}/task/{task}/schedstat").read_text().split()[0])
                for line in Path(f"/proc/{pid}/task/{task}/status").read_text().splitlines():
                    if "ctxt_switches" in line:
                        switches += int(line.split()[1])
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        user += int(fields[11])
        system += int(fields[12])
    return Cost(cpu / 1e9, user / TICKS, system / TICKS, switches)


def memory_bytes(pids):
    """Proportional set size: pages that several processes share are counted once."""
    total = 0
    for pid in pids:
        try:
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
        except OSError:
            continue
    return total


def wait_for_port(port, process, seconds=60):
    """Waits until somebody accepts on a port of this machine."""
    import socket
    end = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(
                    f"{process.args[0]} does not listen on {port}: {process.log.read_text()[-2000:]}") from None
            time.sleep(0.02)
