"""The master's and the edge's side of the worker host, for tests: real processes, raw sockets."""

import array
import json
import mmap
import os
import select
import signal
import socket
import subprocess
import sys
import time

HOST = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../Sources/CAppHost/python"))
PLACES = 64

# Nothing here takes as long; a test that waits longer has failed.
SECONDS_MAX = 60


class Gone(Exception):
    """The other side closed the channel or the connection."""


class End:
    """The master's end of a control channel."""

    def __init__(self):
        self.socket, self.other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(SECONDS_MAX)

    def send(self, descriptors=(), **command):
        ancillary = []
        if descriptors:
            ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
        self.socket.sendmsg([json.dumps(command).encode()], ancillary)

    def receive(self):
        data = self.socket.recv(65536)
        if not data:
            raise Gone
        return json.loads(data)

    def expect(self, event):
        """The next event of this name; others before it are left out."""
        while True:
            found = self.receive()
            if found["event"] == event:
                return found

    def close(self):
        self.socket.close()


class Zygote:
    """One zygote process, as the master starts it."""

    def __init__(self, app, folder, threads=1, interface="auto", environment=None, python=None,
                 **more):
        self.end = End()
        control = self.end.other.fileno()
        environment = dict(os.environ, PYTHONPATH=HOST, PYTHONDONTWRITEBYTECODE="1",
                           PROXY_CONTROL_FD=str(control), **(environment or {}))
        self.output, output = os.pipe()
        self.process = subprocess.Popen(
            [python or sys.executable, os.path.join(HOST, "proxyapp", "zygote.py")],
            pass_fds=[control], env=environment, stdin=subprocess.DEVNULL, stdout=output,
            stderr=output, cwd="/")
        os.close(output)
        self.end.other.close()
        self.workers = []
        self.end.send(command="import", service="web", app=app, dir=str(folder), threads=threads,
                      interface=interface, **more)

    def imported(self):
        found = self.end.receive()
        assert found["event"] == "imported", found
        return found

    def failed(self):
        found = self.end.receive()
        assert found["event"] == "import_failed", found
        assert self.process.wait(SECONDS_MAX) == 1
        return found

    def fork(self, number=1, incarnation=1):
        worker = Worker(self, number, incarnation)
        self.workers.append(worker)
        return worker

    def close(self):
        self.end.close()
        for worker in self.workers:
            worker.close()
        self.process.wait(SECONDS_MAX)
        os.close(self.output)


class Worker:
    """One worker, forked on the test's word."""

    count = 0

    def __init__(self, zygote, number, incarnation):
        Worker.count += 1
        self.path = "\0proxy-test-%d-%d" % (os.getpid(), Worker.count)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self.path)
        listener.listen(1024)
        self.end = End()
        self.output, output = os.pipe()
        memory = os.memfd_create("busy")
        os.ftruncate(memory, 4096)
        self.busy = mmap.mmap(memory, 4096)
        self.offset = 128
        zygote.end.send(
            [listener.fileno(), self.end.other.fileno(), output, memory], command="fork",
            worker=number, incarnation=incarnation, places=PLACES, busy_offset=self.offset)
        os.close(output)
        os.close(memory)
        listener.close()
        self.end.other.close()
        forked = zygote.end.expect("forked")
        assert (forked["worker"], forked["incarnation"]) == (number, incarnation)
        self.pid = forked["pid"]
        assert self.end.expect("ready")["pid"] == self.pid
        self.zygote = zygote
        self.lines = b""

    def connect(self):
        return Edge(self.path)

    def get(self, target="/", **more):
        edge = self.connect()
        try:
            return edge.get(target, **more)
        finally:
            edge.close()

    def read_output(self, until=b"", seconds=SECONDS_MAX):
        """What the worker has printed, at least to `until` (bounded)."""
        end = time.monotonic() + seconds
        while until not in self.lines or not until:
            if not select.select([self.output], [], [], 0 if not until else 0.05)[0]:
                if not until or time.monotonic() > end:
                    break
                continue
            data = os.read(self.output, 65536)
            if not data:
                break
            self.lines += data
        return self.lines.decode()

    def expect_busy(self, places):
        """Waits until exactly these places are busy: the bytes change just before and after."""
        end = time.monotonic() + SECONDS_MAX
        while True:
            assert not any(self.busy[:self.offset]) and not any(self.busy[self.offset + PLACES:])
            part = self.busy[self.offset:self.offset + PLACES]
            found = [place for place, byte in enumerate(part) if byte]
            if found == places:
                return
            assert time.monotonic() < end, found
            time.sleep(0.001)

    def kill(self, number=signal.SIGTERM):
        os.kill(self.pid, number)

    def ended(self):
        """Waits for the end; its wait status as the zygote tells it."""
        return self.zygote.end.expect("exited")["status"]

    def close(self):
        self.end.close()
        os.close(self.output)
        self.busy.close()


class Answer:
    """One answer as it came over the wire."""

    def __init__(self, status, headers, body, complete):
        self.status, self.headers, self.body, self.complete = status, headers, body, complete

    def __repr__(self):
        return "<%s %r %r%s>" % (
            self.status, self.headers, self.body[:300], "" if self.complete else " cut")

    @property
    def text(self):
        return self.body.decode()

    def field(self, name):
        values = [value for key, value in self.headers if key.lower() == name]
        assert len(values) < 2, self
        return values[0] if values else None


def head(method="GET", target="/", fields=(), place=0, peer="https 127.0.0.1 51234 8443 -",
         host="example.com", identity="01JD0000000000000000000000"):
    """A head as an edge writes it."""
    lines = ["%s %s HTTP/1.1" % (method, target), "proxy-peer: %d %s" % (place, peer),
             "X-Request-Id: %s" % identity, "Host: %s" % host]
    lines += ["%s: %s" % field for field in fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class Edge:
    """One connection from an edge to a worker; reads answers strictly."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(SECONDS_MAX)
        self.socket.connect(path)
        self.buffer = b""

    def send(self, data):
        self.socket.sendall(data)

    def get(self, target="/", method="GET", body=None, fields=(), **more):
        fields = list(fields)
        if body is not None:
            fields.append(("content-length", str(len(body))))
        self.send(head(method, target, fields, **more))
        if body:
            self.send(body)
        return self.read(method)

    def _more(self):
        data = self.socket.recv(65536)
        if not data:
            raise Gone
        self.buffer += data

    def _until(self, mark):
        while mark not in self.buffer:
            self._more()
        found, _, self.buffer = self.buffer.partition(mark)
        return found

    def _exactly(self, count):
        pieces, have = [self.buffer[:count]], min(count, len(self.buffer))
        self.buffer = self.buffer[count:]
        while have < count:
            data = self.socket.recv(min(count - have, 1 << 20))
            if not data:
                raise Cut(b"".join(pieces))
            pieces.append(data)
            have += len(data)
        return b"".join(pieces)

    def read(self, method="GET"):
        lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        version, status, _ = lines[0].split(" ", 2)
        assert version == "HTTP/1.1", lines
        headers = []
        for line in lines[1:]:
            assert "\r" not in line and "\n" not in line
            name, colon, value = line.partition(": ")
            assert colon and name.strip() == name, line
            headers.append((name, value))
        answer = Answer(int(status), headers, b"", True)
        length, coding = answer.field("content-length"), answer.field("transfer-encoding")
        assert length is None or coding is None, answer
        if method == "HEAD" or answer.status in (204, 304):
            return answer
        try:
            if coding:
                assert coding == "chunked"
                answer.body = self._chunks(answer)
            elif length is not None:
                answer.body = self._exactly(int(length))
            else:
                raise AssertionError("no framing: %r" % answer)
        except Cut as cut:
            answer.body += cut.args[0]
            answer.complete = False
        return answer

    def _chunks(self, answer):
        body = b""
        try:
            while True:
                size = int(self._until(b"\r\n"), 16)
                if not size:
                    assert self._exactly(2) == b"\r\n"
                    return body
                body += self._exactly(size)
                assert self._exactly(2) == b"\r\n"
        except (Gone, Cut):
            raise Cut(body) from None

    def is_closed(self):
        """Whether the worker closes, with nothing more to read; waits for it."""
        try:
            return not self.buffer and not self.socket.recv(1)
        except ConnectionResetError:
            return True

    def close(self):
        self.socket.close()


class Cut(Exception):
    """The body broke off; what came of it."""
