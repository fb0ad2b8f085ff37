"""The answer to one request: `start_response`, `write()`, and the body in correct frames."""

import errno
import io
import os
import stat

from proxyapp import failure
from proxyapp.head import REMEMBERED_MAX, TEXT, is_token

# A body up to this size (bytes) goes out in one system call together with its head.
JOIN_BYTES_MAX = 65536

# The most that one sendfile call moves (bytes).
SENDFILE_BYTES_MAX = 1 << 30

_NORMAL, _LENGTH, _CONNECTION, _DROPPED, _REFUSED = range(5)

# Fields that mean something special. PEP 3333 forbids the hop-by-hop ones to apps. `Connection:
# keep-alive` and `close`, which many examples of event streams send, are dropped without a word:
# the server decides that anyway. The last two are spoken between the edge and this host alone.
_SPECIAL = {
    "content-length": _LENGTH, "connection": _CONNECTION, "proxy-authenticate": _REFUSED,
    "proxy-authorization": _REFUSED, "te": _REFUSED, "trailer": _REFUSED, "trailers": _REFUSED,
    "transfer-encoding": _REFUSED, "upgrade": _REFUSED, "keep-alive": _DROPPED,
    "proxy-exception": _DROPPED, "proxy-peer": _DROPPED,
}

# sendfile is not to be had for this kind of file.
_NO_SENDFILE = frozenset((errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP))


class _Names(dict):
    """Name of a field that an app sends -> what it is; checked once."""

    def __missing__(self, name):
        if not isinstance(name, str):
            raise TypeError("a header name must be a str, not %s" % type(name).__name__)
        if not is_token(name):
            raise ValueError("the header name %r is not a token" % name[:80])
        kind = _SPECIAL.get(name.lower(), _NORMAL)
        if len(self) < REMEMBERED_MAX:
            self[name] = kind
        return kind


class _Statuses(dict):
    """Status as an app gives it -> its number; checked once."""

    def __missing__(self, status):
        if not isinstance(status, str):
            raise TypeError("the status must be a str, not %s" % type(status).__name__)
        code = status[:3]
        if not (len(code) == 3 and code.isascii() and code.isdigit() and status[3:4] in ("", " ")):
            raise ValueError("the status %r does not start with three digits" % status[:80])
        if not "200" <= code <= "999":
            raise ValueError("the status %s is not one that ends a request" % code)
        if len(self) < REMEMBERED_MAX:
            self[status] = int(code)
        return int(code)


_names = _Names()
_statuses = _Statuses()


class FileWrapper:
    """`wsgi.file_wrapper`: a real file goes to the socket by sendfile, anything else in blocks."""

    def __init__(self, filelike, block_size=65536):
        self.filelike = filelike
        self.block_size = block_size
        if hasattr(filelike, "close"):
            self.close = filelike.close

    def __iter__(self):
        return self

    def __next__(self):
        data = self.filelike.read(self.block_size)
        if data:
            return data
        raise StopIteration


class Cut(Exception):
    """The answer cannot be completed: the connection is closed, so that the edge sees it broken."""


class Answer:
    """Writes the answer of one request to its connection.

    `failure` is the exception that the app raised or its framework handled, for the
    `proxy-exception` field; `begun`: the head has gone out; `done`: all of it has; `lost`: the edge
    did not take it; `keep`: the connection may carry another request; `too_long`: the app gave more
    than its Content-Length, which was cut.
    """

    __slots__ = ("_socket", "_is_head", "_head", "_left", "_bodyless", "_chunked",
                 "begun", "done", "lost", "keep", "failure", "status", "too_long")

    def __init__(self, sock, is_head, keep):
        self._socket = sock
        self._is_head = is_head
        self._head = None
        self._left = None  # bytes that the app still owes by its Content-Length
        self._chunked = self.begun = self.done = self.lost = self.too_long = False
        self.keep = keep
        self.failure = None
        self.status = 0

    def start_response(self, status, headers, exc_info=None):
        """PEP 3333. The head is checked here, and sent with the first bytes of the body."""
        if exc_info is not None:
            try:
                if self.begun:
                    raise exc_info[1].with_traceback(exc_info[2])
                self.failure = exc_info[1]
            finally:
                exc_info = None
        elif self._head is not None:
            raise AssertionError("start_response was called twice without exc_info")
        code = _statuses[status]
        head = ["HTTP/1.1 ", status if len(status) > 3 else status + " ", "\r\n"]
        lines = 1
        left = None
        for name, value in headers:
            kind = _names[name]
            if kind:
                if kind == _LENGTH:
                    left = _checked_length(value, left)
                    if code == 204:
                        continue
                elif kind == _DROPPED or kind == _CONNECTION and (
                        value.strip().lower() in ("keep-alive", "close")):
                    continue
                else:
                    raise AssertionError(
                        "the header %s is for servers, not for apps (PEP 3333)" % name)
            head += (name, ": ", value, "\r\n")
            lines += 1
        raw = "".join(head).encode("latin-1")
        if raw.translate(None, TEXT) != b"\r\n" * lines:
            raise ValueError("a header or the status has a line break or a control character")
        self._head = raw
        self._left = left
        self._bodyless = self._is_head or code == 204 or code == 304
        self.status = code
        return self.write

    def send(self, result):
        """Sends what the app returned, all of it; `close()` is the caller's."""
        kind = type(result)
        if (kind is list or kind is tuple) and not self.begun:
            self._send_whole(result[0] if len(result) == 1 else b"".join(result))
            self.done = True
            return
        if kind is FileWrapper and not self.begun and self._send_file(result):
            self.done = True
            return
        write = self.write
        for data in result:
            if data:
                write(data)
                if self._bodyless or self.too_long:
                    break  # nothing more can go out
            elif not isinstance(data, bytes):
                raise TypeError("the app must give bytes, not %s" % type(data).__name__)
        self._finish()
        self.done = True

    def write(self, data):
        """Sends one block at once: the head before it, its frame around it."""
        if not isinstance(data, bytes):
            raise TypeError("the app must give bytes, not %s" % type(data).__name__)
        if not data:
            return
        head = b""
        if not self.begun:
            head = self._begin()
        if self._bodyless:
            data = b""
        elif self._chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        else:
            if len(data) > self._left:
                self.too_long = True
                data = data[:self._left]
            self._left -= len(data)
        self._send_all(head, data)

    def fail(self, error, body):
        """Answers 500 for an app that raised; with a head on its way the answer is cut instead."""
        self.failure = error
        if self.begun:
            raise Cut
        self._head = b"HTTP/1.1 500 Internal Server Error\r\ncontent-type: text/plain\r\n"
        self._left = None
        self.status = 500
        self._bodyless = self._is_head
        self._send_whole(body)

    def _send_whole(self, body):
        if type(body) is not bytes:
            raise TypeError("the app must give bytes, not %s" % type(body).__name__)
        head = self._begin(len(body))
        if self._left == len(body) <= JOIN_BYTES_MAX and not self._bodyless:
            self._left = 0
            self._send(head + body)
            return
        if self._bodyless:
            body = b""
        else:
            if len(body) > self._left:
                self.too_long = True
                body = body[:self._left]
            self._left -= len(body)
        self._send_all(head, body)
        if self._left and not self._bodyless:
            self._finish()

    def _send_file(self, wrapper):
        """Sends a real file from where it stands; False when it is none."""
        file = wrapper.filelike
        if type(file).__name__ == "_TemporaryFileWrapper":
            file = file.file
        # Nothing else: a GzipFile has a descriptor too, and its bytes are other ones.
        if type(file) not in (io.BufferedReader, io.BufferedRandom, io.FileIO):
            return False
        try:
            descriptor = file.fileno()
            position = file.tell()
            facts = os.fstat(descriptor)
        except (OSError, ValueError):
            return False
        if not stat.S_ISREG(facts.st_mode):
            return False
        size = max(facts.st_size - position, 0)
        head = self._begin(size)
        if self._bodyless:
            self._send(head)
            return True
        self._send(head)
        self.too_long = size > self._left
        end = position + min(size, self._left)
        while position < end:
            count = self._send_part(descriptor, position, end - position)
            if not count:
                break  # the file became shorter
            position += count
            self._left -= count
        self._finish()
        return True

    def _send_part(self, descriptor, position, count):
        try:
            return os.sendfile(self._socket.fileno(), descriptor, position,
                               min(count, SENDFILE_BYTES_MAX))
        except OSError as error:
            if error.errno not in _NO_SENDFILE:
                self.lost = True
                raise
        data = os.pread(descriptor, min(count, JOIN_BYTES_MAX), position)
        self._send(data)
        return len(data)

    def _begin(self, length=None):
        """The head as it goes out. `length` is known when the whole body is."""
        head = self._head
        if head is None:
            raise AssertionError("the app did not call start_response")
        self.begun = True
        if self._left is None:
            if self._bodyless:
                # For HEAD an app may leave the body out: then its length is not 0 but unknown.
                if length and self._is_head:
                    head += b"content-length: %d\r\n" % length
            elif length is not None:
                head += b"content-length: %d\r\n" % length
                self._left = length
            else:
                head += b"transfer-encoding: chunked\r\n"
                self._chunked = True
        if self.failure is not None:
            head += b"proxy-exception: " + failure.field(self.failure) + b"\r\n"
        if not self.keep:
            head += b"connection: close\r\n"
        return head + b"\r\n"

    def _finish(self):
        """Ends the body; `Cut` when the app gave less than it announced."""
        if not self.begun:
            head = self._begin(0)
            self._send(head)
        elif self._chunked:
            self._send(b"0\r\n\r\n")
        if self._left and not self._bodyless:
            raise Cut("the app gave %d bytes less than its Content-Length" % self._left)

    def _send_all(self, head, data):
        if len(data) <= JOIN_BYTES_MAX:
            self._send(head + data)
            return
        if head:
            self._send(head)
        self._send(data)

    def _send(self, data):
        try:
            self._socket.sendall(data)
        except OSError:
            self.lost = True
            raise


def _checked_length(value, before):
    if not isinstance(value, str):
        raise TypeError("a header value must be a str, not %s" % type(value).__name__)
    if not (value.isascii() and value.isdigit()) or len(value) > 18:
        raise ValueError("Content-Length %r is not a number" % value[:80])
    if before is not None:
        raise ValueError("Content-Length stands twice")
    return int(value)
