"""The real binary under test: started with a config of its own in a folder of its own, and watched to its end."""

import json
import os
import re
import signal
import socket
import subprocess
import textwrap
import threading
import time
from pathlib import Path

from harness.processes import descendants, is_alive
from harness.wire import SECONDS, Client, request, until

TREE = Path(__file__).resolve().parents[3]
BINARY = os.environ.get("PROXY_BINARY", str(TREE / ".build/release/proxy"))

# What a scenario does not say itself. Two edges, so that what they share is shared in every scenario.
DEFAULTS = {
    "listen": 'listen: ["http://127.0.0.1:0"]',
    "edges": "edges: 2",
    "directories": "directories: {{ runtime: {folder}/run, state: {folder}/state, spool: {folder}/spool }}",
    "logs": "logs: {{ access: {{ path: {folder}/access.json }} }}",
}


def with_defaults(text, folder):
    text = textwrap.dedent(text).strip() + "\n"
    there = set(re.findall(r"^(\w+):", text, re.MULTILINE))
    return "".join(line.format(folder=folder) + "\n" for key, line in DEFAULTS.items() if key not in there) + text


def run_proxy(*arguments, folder=None, environment=None, seconds=SECONDS, **options):
    """Runs the binary to its end: a command that reports, or a start that is meant to fail."""
    return subprocess.run(
        [BINARY, *map(str, arguments)], cwd=folder, capture_output=True, text=True, timeout=seconds,
        stdin=subprocess.DEVNULL, env={**os.environ, **(environment or {})}, **options)


class Proxy:
    """A running proxy. Its folder holds the config, logs, run-time and state folders, all gone after the test."""

    def __init__(self, folder, config=None, environment=None, arguments=(), stdout=None, stderr=None, preexec=None,
                 within=()):
        """`config` None: the arguments say everything. `within`: a command that becomes the proxy in a place of its own."""
        self.folder = Path(folder)
        self.configuration = self.folder / "proxy.yaml"
        if config is not None:
            self.write(config)
            arguments = ["--conf", str(self.configuration), *arguments]
        self.lines, self._arrived = [], threading.Condition()
        self.process = subprocess.Popen(
            [*within, BINARY, *arguments], cwd=folder, stdin=subprocess.DEVNULL,
            stdout=stdout or subprocess.DEVNULL, stderr=stderr or subprocess.PIPE, preexec_fn=preexec,
            env={**os.environ, "XDG_RUNTIME_DIR": str(folder), "XDG_DATA_HOME": str(folder), **(environment or {})})
        self.pid = self.process.pid
        self._reader = threading.Thread(target=self._read_errors, daemon=True)
        if stderr is None:
            self._reader.start()

    def write(self, config):
        """Replaces the config file; `reload` makes it the proxy's."""
        self.configuration.write_text(with_defaults(config, self.folder))

    # What it says

    def _read_errors(self):
        for line in self.process.stderr:
            with self._arrived:
                self.lines.append(line.decode(errors="replace").rstrip("\n"))
                self._arrived.notify_all()
        with self._arrived:
            self.lines.append(None)
            self._arrived.notify_all()

    @property
    def errors(self):
        """The error log so far, as text."""
        return "\n".join(line for line in self.lines if line is not None)

    def events(self, name=None):
        """The records of the error log so far, or those of one event."""
        found = []
        for line in list(self.lines):
            if line and line.startswith("{"):
                record = json.loads(line)
                if name is None or record["event"] == name:
                    found.append(record)
        return found

    def event(self, name, count=1, **facts):
        """Waits for the `count`-th record of an event, with these values."""
        end = time.monotonic() + SECONDS
        with self._arrived:
            while True:
                found = [record for record in self.events(name)
                         if all(record.get(key) == value for key, value in facts.items())]
                if len(found) >= count:
                    return found[count - 1]
                if self.lines and self.lines[-1] is None:
                    raise AssertionError(f"the proxy ended before {name} {facts}:\n{self.errors}")
                assert time.monotonic() < end, f"no {name} {facts} in:\n{self.errors}"
                self._arrived.wait(0.1)

    def ready(self):
        self.urls = self.event("ready")["listen"]
        return self

    def access_lines(self, **facts):
        """The lines of the access log so far that have these values."""
        path = self.folder / "access.json"
        whole = path.read_text().rpartition("\n")[0] if path.exists() else ""
        found = [json.loads(line) for line in whole.split("\n") if line]
        return [line for line in found if all(line[key] == value for key, value in facts.items())]

    def access(self, count, **facts):
        """Waits for `count` lines in the access log, and gives all of them that have these values."""
        return until(
            lambda: len(found := self.access_lines(**facts)) >= count and found,
            f"{count} lines {facts} in the access log")

    # Where it listens

    def address(self, listener=0):
        host, port = re.fullmatch(r"https?://(.*):(\d+)/?", self.urls[listener]).groups()
        return host.strip("[]"), int(port)

    def client(self, listener=0, **options):
        return Client(self.address(listener), **options)

    def get(self, target="/", listener=0, **fields):
        """One request on a connection of its own."""
        with self.client(listener) as client:
            return client.exchange(request(target, **fields))

    # The control socket

    @property
    def control(self):
        return str(self.folder / "run/admin.sock")

    def command(self, name, **arguments):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(SECONDS)
            connection.connect(self.control)
            connection.sendall(json.dumps({"command": name, **arguments}).encode() + b"\n")
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
        return json.loads(answer)

    def status(self):
        answer = self.command("status")
        assert answer["ok"], answer
        return answer["result"]

    def reload(self, config=None):
        if config is not None:
            self.write(config)
        answer = self.command("reload")
        assert answer["ok"], answer
        return answer["result"]

    def edges(self):
        """The edges of the newest generation, as `status` shows them."""
        status = self.status()
        return [edge for edge in status["edges"] if edge["generation"] == status["generation"]]

    def endpoints(self, service):
        return self.status()["services"][service]["endpoints"]

    # Its end

    def signal(self, number):
        os.kill(self.pid, number)

    def pending(self, number):
        """Whether a signal was sent to it that it has not taken yet."""
        with open(f"/proc/{self.pid}/status") as file:
            masks = [int(line.split()[1], 16) for line in file if line.startswith(("SigPnd", "ShdPnd"))]
        return any(mask >> (number - 1) & 1 for mask in masks)

    def kill(self, pid):
        """`kill -9` of one of its processes, and nothing else."""
        assert pid in [process.pid for process in descendants(os.getpid())], f"{pid} is none of ours"
        os.kill(pid, signal.SIGKILL)

    def wait(self):
        return self.process.wait(SECONDS * 2)

    def stop(self):
        """Drains and stops; everything that was started must be gone, and nothing may be left in the run-time folder."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        return self.finished()

    def finished(self):
        code = self.wait()
        if self._reader.is_alive():
            self._reader.join(SECONDS)
        if self.process.stderr:
            self.process.stderr.close()
        return code

    def kill_all(self):
        """The last resort of a test that failed."""
        below = descendants(self.pid)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for process in below:
            if is_alive(process.pid):
                os.kill(process.pid, signal.SIGKILL)

    def leftovers(self):
        """Sockets that a stopped proxy left in its folders."""
        return [str(path) for path in (self.folder / "run").rglob("*") if path.is_socket()]
