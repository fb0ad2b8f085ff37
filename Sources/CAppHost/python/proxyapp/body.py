"""`wsgi.input`: the body of one request, never a byte more (RFC 9112 sections 6 and 7)."""

import io

# Read from the socket at once (bytes).
RECEIVE_BYTES = 65536

# The longest chunk-size line and the longest trailer section (bytes).
LINE_BYTES_MAX = 4096
TRAILER_BYTES_MAX = 65536

# Hex digits of a chunk size: 60 bits.
SIZE_DIGITS_MAX = 15

_HEX = frozenset(b"0123456789abcdefABCDEF")


class Broken(OSError):
    """The body ended early, or its framing is wrong; the connection is of no more use."""


class LengthBody(io.RawIOBase):
    """A body with Content-Length; `first` is what came together with the head."""

    def __init__(self, sock, first, length):
        self._socket = sock
        self._first = first
        self.remaining = length

    def readable(self):
        return True

    def readinto(self, buffer):
        if not self.remaining:
            return 0
        view = memoryview(buffer)[:self.remaining]
        if self._first:
            count = min(len(view), len(self._first))
            view[:count] = self._first[:count]
            self._first = self._first[count:]
        else:
            count = self._socket.recv_into(view)
            if not count:
                raise Broken("the request's body ended %d bytes early" % self.remaining)
        self.remaining -= count
        return count

    @property
    def rest(self):
        """What is left of the first bytes and was never read; the next request is not among it."""
        return self._first


class ChunkedBody(io.RawIOBase):
    """A chunked body. Extensions and trailers are read and left out."""

    def __init__(self, sock, first):
        self._socket = sock
        self._buffer = bytearray(first)
        self._chunk = 0  # bytes left of this chunk
        self._between = False  # a chunk was read, its CR LF was not
        self.ended = False

    def readable(self):
        return True

    def readinto(self, buffer):
        if self.ended or not len(buffer):
            return 0
        if not self._chunk:
            self._next_chunk()
            if self.ended:
                return 0
        view = memoryview(buffer)[:self._chunk]
        if self._buffer:
            count = min(len(view), len(self._buffer))
            view[:count] = self._buffer[:count]
            del self._buffer[:count]
        else:
            count = self._socket.recv_into(view)
            if not count:
                raise Broken("the request's chunked body ended early")
        self._chunk -= count
        self._between = not self._chunk
        return count

    @property
    def rest(self):
        """What came behind the body."""
        return bytes(self._buffer)

    def _next_chunk(self):
        if self._between and self._line():
            raise Broken("a chunk does not end where it should")
        self._between = False
        size = self._line().partition(b";")[0].rstrip(b" \t")
        if not size or len(size) > SIZE_DIGITS_MAX or not _HEX.issuperset(size):
            raise Broken("a chunk size is not a hexadecimal number")
        self._chunk = int(size, 16)
        if not self._chunk:
            self._skip_trailer()
            self.ended = True

    def _skip_trailer(self):
        left = TRAILER_BYTES_MAX
        while True:
            line = self._line()
            if not line:
                return
            left -= len(line)
            if left < 0:
                raise Broken("the trailer section is too long")

    def _line(self):
        while True:
            end = self._buffer.find(b"\n")
            # By its own length, not by how much of it came at once.
            if (end if end >= 0 else len(self._buffer)) > LINE_BYTES_MAX:
                raise Broken("a chunk line is too long")
            if end >= 0:
                break
            data = self._socket.recv(RECEIVE_BYTES)
            if not data:
                raise Broken("the request's chunked body ended early")
            self._buffer += data
        line = bytes(self._buffer[:end + 1])
        del self._buffer[:end + 1]
        if not line.endswith(b"\r\n") or b"\r" in line[:-2] or b"\0" in line:
            raise Broken("a CR or LF alone in a chunk line")
        return line[:-2]
