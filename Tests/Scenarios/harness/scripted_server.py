"""A server that says exactly what a script says, whatever it is asked."""

import os
import socket
import threading

from harness.wire import Closed, Stream


class ScriptedServer:
    """Listens on loopback, or on a Unix socket; each connection runs `script(stream, server)` in a thread of its own.

    A script that meets a closed connection simply ends; one that fails an assertion fails the test, when the server is
    closed. `requests` holds what `stream.read_request()` calls noted by `server.note`.
    """

    def __init__(self, script, path=None, tls=None, port=0, backlog=512, host="127.0.0.1"):
        self.script, self.tls = script, tls
        self.requests, self.connections, self.failures = [], 0, []
        self._streams, self._threads, self._lock = [], [], threading.Lock()
        self.path = path
        family = socket.AF_UNIX if path else socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(path or (host, port))
        if path:
            os.chmod(path, 0o666)
        self._listener.listen(backlog)
        self.port = None if path else self._listener.getsockname()[1]
        self.stopping = threading.Event()
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    @property
    def url(self):
        if self.path:
            return f"unix:{self.path}"
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def note(self, message):
        with self._lock:
            self.requests.append(message)
        return message

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
                self._threads.append(thread)
            thread.start()

    def _serve(self, connection):
        stream = None
        try:
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
            stream = Stream(connection)
            with self._lock:
                self._streams.append(stream)
            self.script(stream, self)
        except (Closed, OSError):
            pass  # the other side has gone, or the test is over
        except Exception as failure:
            self.failures.append(failure)
        finally:
            connection.close()

    def stop_listening(self):
        """Refuses new connections from now on; those that are open go on."""
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()
        self._acceptor.join(5)

    def close(self):
        self.stopping.set()
        self.stop_listening()
        with self._lock:
            streams, threads = list(self._streams), list(self._threads)
        for stream in streams:
            try:
                stream.connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in threads:
            thread.join(5)
        if self.path and os.path.exists(self.path):
            os.unlink(self.path)
        assert not self.failures, self.failures


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def answering(*answers):
    """Reads whole requests; the n-th on a connection gets the n-th answer, later ones the last; keeps the connection."""
    answers = answers or (OK,)

    def script(stream, server):
        number = 0
        while True:
            message = server.note(stream.read_request())
            answer = answers[min(number, len(answers) - 1)]
            stream.send(answer(message) if callable(answer) else answer)
            number += 1
    return script


def answering_once(answer):
    """Reads one request, answers it and closes."""
    def script(stream, server):
        server.note(stream.read_request())
        stream.send(answer)
    return script


def held(release, answer=OK):
    """Reads requests, and answers each only when the event `release` is set."""
    def script(stream, server):
        while True:
            server.note(stream.read_request())
            release.wait(60)
            stream.send(answer)
    return script


def closing_at_once(stream, server):
    """Takes a connection, reads a request and closes without a word."""
    server.note(stream.read_request())


def silent(stream, server):
    """Reads a request and never answers."""
    server.note(stream.read_request())
    server.stopping.wait(60)
