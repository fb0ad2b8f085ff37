"""HTTP/1.1 on a raw socket: bytes are sent as given, and read by the letter of RFC 9112."""

import json
import socket
import time
from dataclasses import dataclass, field

# A bound for whatever a test waits for. It decides nothing: a test that is right never waits that long.
SECONDS = 15


def request(target="/", method="GET", body=None, host="example.test", version="1.1", **fields):
    """The bytes of a request; a keyword such as `x_name` becomes the field `x-name`."""
    lines = [f"{method} {target} HTTP/{version}"] + ([f"Host: {host}"] if host is not None else [])
    if body is not None and "transfer_encoding" not in fields:
        fields["content_length"] = len(body)
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b"")


def chunked(*chunks, trailers=b""):
    """A body in chunks, with its last chunk and trailer section."""
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n" + trailers + b"\r\n"


@dataclass
class Message:
    """A request or an answer as it was read."""

    start: str
    fields: list
    body: bytes = b""
    chunks: list = field(default_factory=list)
    trailers: list = field(default_factory=list)
    framing: str = "none"  # none, length, chunked, or close: until the end of the connection
    complete: bool = True  # False: the connection ended within the body

    @property
    def status(self):
        return int(self.start.split(" ")[1])

    @property
    def method(self):
        return self.start.split(" ")[0]

    @property
    def target(self):
        return self.start.split(" ")[1]

    def all(self, name):
        return [value for other, value in self.fields if other.lower() == name.lower()]

    def get(self, name):
        values = self.all(name)
        return ", ".join(values) if values else None

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        """The word of the failure that the proxy names in its answer, or nothing."""
        status = self.get("proxy-status") or ""
        return status.split("error=", 1)[1].split(";")[0].strip() if "error=" in status else None


class Closed(Exception):
    """The other side closed or reset where more was expected; `seen` is what came before."""

    def __init__(self, seen=b""):
        super().__init__(f"the connection ended after {seen[-200:]!r}")
        self.seen = seen


class Stream:
    """One side of a connection."""

    def __init__(self, connection):
        self.connection = connection
        connection.settimeout(SECONDS)
        self.waiting = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        self.connection.sendall(data)

    def try_send(self, data):
        """Sends what the other side takes; False when it has closed."""
        try:
            self.connection.sendall(data)
            return True
        except (ConnectionError, OSError):
            return False

    def finish_sending(self):
        self.connection.shutdown(socket.SHUT_WR)

    def close(self):
        self.connection.close()

    def reset(self):
        """Closes so that the other side sees a reset."""
        import struct
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def more(self):
        """Whether another piece came; False at the end."""
        try:
            piece = self.connection.recv(65536)
        except (ConnectionResetError, BrokenPipeError):
            piece = b""
        self.waiting += piece
        return bool(piece)

    def read(self, count):
        pieces, left = [], count
        while left:
            if not self.waiting and not self.more():
                raise Closed(b"".join(pieces))
            pieces.append(self.waiting[:left])
            self.waiting = self.waiting[left:]
            left -= len(pieces[-1])
        return b"".join(pieces)

    def read_until(self, delimiter):
        while delimiter not in self.waiting:
            if not self.more():
                raise Closed(self.waiting)
        at = self.waiting.index(delimiter) + len(delimiter)
        data, self.waiting = self.waiting[:at], self.waiting[at:]
        return data

    def read_to_end(self):
        pieces = [self.waiting]
        self.waiting = b""
        while self.more():
            pieces.append(self.waiting)
            self.waiting = b""
        return b"".join(pieces)

    def ended(self):
        """Whether the other side has closed and nothing more came before; waits for one or the other."""
        return not self.waiting and not self.more()

    def read_head(self):
        """A start line and fields; the body stays where it is."""
        lines = self.read_until(b"\r\n\r\n")[:-4].decode("latin-1").split("\r\n")
        return Message(lines[0], [tuple(part.strip() for part in line.split(":", 1)) for line in lines[1:]])

    def read_body(self, message, until_end=False):
        """The body that the head's fields announce; `until_end` where none means the rest of the connection."""
        try:
            if (message.get("transfer-encoding") or "").lower() == "chunked":
                message.framing = "chunked"
                self._read_chunks(message)
            elif message.get("content-length") is not None:
                message.framing = "length"
                self._read_length(message, int(message.get("content-length")))
            elif until_end:
                message.framing = "close"
                message.body = self.read_to_end()
        except Closed:
            message.complete = False
        return message

    def _read_length(self, message, length):
        pieces, left = [], length
        while left:
            if not self.waiting and not self.more():
                message.body = b"".join(pieces)
                raise Closed(message.body)
            pieces.append(self.waiting[:left])
            self.waiting = self.waiting[left:]
            left -= len(pieces[-1])
        message.body = b"".join(pieces)

    def _read_chunks(self, message):
        while True:
            size = int(self.read_until(b"\r\n")[:-2].split(b";")[0], 16)
            if size == 0:
                break
            chunk = self.read(size + 2)
            assert chunk[-2:] == b"\r\n", chunk[-20:]
            message.chunks.append(chunk[:-2])
            message.body += chunk[:-2]
        while (line := self.read_until(b"\r\n")) != b"\r\n":
            message.trailers.append(tuple(part.strip() for part in line[:-2].decode("latin-1").split(":", 1)))

    def read_request(self):
        return self.read_body(self.read_head())


class Client(Stream):
    """A client that sends exactly the bytes it is told to.

    With `tls` one thread at a time uses it: OpenSSL's connections bear no other, and Python locks them only from 3.13 on.
    A thread that sends while another reads sees its connection end now and then.
    """

    def __init__(self, address, tls=None, server_name="localhost", receive_buffer=None):
        kind = socket.AF_UNIX if isinstance(address, str) else \
            socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        connection = socket.socket(kind, socket.SOCK_STREAM)
        connection.settimeout(SECONDS)
        if receive_buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            connection.connect(address)
            if tls:
                connection = tls.wrap_socket(connection, server_hostname=server_name)
        except BaseException:
            connection.close()
            raise
        super().__init__(connection)

    @property
    def port(self):
        return self.connection.getsockname()[1]

    def response(self, method="GET", interim=None):
        """The next final answer; 1xx before it are added to the list `interim`."""
        while True:
            head = self.read_head()
            if head.status == 101 or not 100 <= head.status < 200:
                break
            if interim is not None:
                interim.append(head)
        if method == "HEAD" or head.status in (101, 204, 304):
            return head
        return self.read_body(head, until_end=True)

    def exchange(self, data, method=None, interim=None):
        """Sends, and reads one answer."""
        self.send(data)
        return self.response(method or data.split(b" ", 1)[0].decode("latin-1"), interim)


def until(condition, what="it", seconds=SECONDS):
    """Waits until `condition()` is true, within a bound that decides nothing, and returns what it gave."""
    end = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < end, f"{what} did not come"
        time.sleep(0.01)
    return result
