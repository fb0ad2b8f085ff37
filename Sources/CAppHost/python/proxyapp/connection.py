"""One connection from an edge: request after request, each through the app and answered."""

import io
import socket
from contextvars import ContextVar
from time import monotonic

from proxyapp import failure, signals
from proxyapp.answer import Answer, Cut
from proxyapp.body import RECEIVE_BYTES, Broken, ChunkedBody, LengthBody
from proxyapp.head import HEAD_BYTES_MAX, Refused
from proxyapp.signals import (request_exception, request_finished, request_started,
                              request_tearing_down)

# The answer being made, so that the bridge finds it in whatever thread or context the app is.
current = ContextVar("proxyapp_answer")


class Tally:
    """What one thread has done: requests, and the seconds it spent on them."""

    __slots__ = ("requests", "busy")

    def __init__(self):
        self.requests = 0
        self.busy = 0.0


class Connection:
    """The socket, and what of the next request has come already.

    Between requests it is only polled: `serve` is called when there is something to read and a
    thread is free to read it, and it never waits for the rest of a head.
    """

    __slots__ = ("_worker", "_socket", "_partial", "_skip", "descriptor")

    def __init__(self, worker, sock):
        self._worker = worker
        self._socket = sock
        self._partial = b""
        self._skip = 0  # bytes of the last request's body that the app left unread
        self.descriptor = sock.fileno()

    def close(self):
        self._socket.close()

    def refuse_more(self):
        """From here on the edge cannot send; what it has sent can still be read."""
        try:
            self._socket.shutdown(socket.SHUT_RD)
        except OSError:
            pass  # the edge has gone

    def serve(self, tally):
        """Reads what is there and answers it; False when the connection has to be closed."""
        try:
            data = self._socket.recv(RECEIVE_BYTES)
        except OSError:
            return False
        if not data:
            return False
        if self._skip:
            skipped = min(self._skip, len(data))
            self._skip -= skipped
            data = data[skipped:]
        if self._partial:
            data = self._partial + data
            self._partial = b""
        while data:
            end = data.find(b"\r\n\r\n")
            if end < 0 and len(data) <= HEAD_BYTES_MAX:
                self._partial = data
                return True
            try:
                if end < 0:
                    raise Refused("the head is too long")
                environ, place, length = self._worker.heads.parse(data[:end])
                if place >= len(self._worker.busy):
                    raise Refused("this worker has no such place")
            except Refused as error:
                return self._refuse(error)
            data = self._exchange(environ, place, length, data[end + 4:], tally)
            if data is None:
                return False
        return True

    def _exchange(self, environ, place, length, data, tally):
        """One request and its answer; gives what came behind it, None to close."""
        began = monotonic()
        worker = self._worker
        body = None
        if 0 <= length <= len(data):
            environ["wsgi.input"] = io.BytesIO(data[:length])
            data = data[length:]
        else:
            body = (ChunkedBody(self._socket, data) if length < 0
                    else LengthBody(self._socket, data, length))
            environ["wsgi.input"] = io.BufferedReader(body, RECEIVE_BYTES)
            data = b""
        keep = not worker.draining and environ.get("HTTP_CONNECTION") != "close"
        answer = Answer(self._socket, environ["REQUEST_METHOD"] == "HEAD", keep)
        current.set(answer)
        worker.busy[place] = 1
        try:
            if request_started.receivers:
                signals.tell(request_started, worker.service, environ)
            self._answer(answer, environ)
            if (request_finished.receivers or request_exception.receivers
                    or request_tearing_down.receivers):
                self._tell_end(answer, environ, monotonic() - began)
        finally:
            worker.busy[place] = 0
            current.set(None)
            answer.failure = None  # its traceback leads to this frame: no circle is left behind
            tally.requests += 1
            tally.busy += monotonic() - began
        if not answer.keep:
            return None
        if body is None:
            return data
        if length < 0:
            return body.rest if body.ended else None
        self._skip = body.remaining - len(body.rest)
        return data

    def _answer(self, answer, environ):
        """Calls the app and sends what it gives. Afterwards `answer.keep` is false when the
        connection is of no more use."""
        result = None
        try:
            try:
                result = self._worker.application(environ, answer.start_response)
                answer.send(result)
            finally:
                if type(result) is not list:
                    close = getattr(result, "close", None)
                    if close is not None:
                        close()
        except BaseException as error:  # SystemExit and KeyboardInterrupt are the app's as well
            try:
                self._fail(answer, environ, error)
            except BaseException as failed:  # no memory: the connection ends, the worker does not
                answer.keep = False
                failure.tell("an exception cannot be reported", failed)
        if answer.too_long:
            failure.warn("the answer to %s was longer than its Content-Length: cut"
                         % failure.request(environ))

    def _fail(self, answer, environ, error):
        if isinstance(error, Cut):
            failure.warn("the answer to %s broke off: %s" % (failure.request(environ), error))
            answer.keep = False
        elif answer.lost or isinstance(error, Broken):
            answer.keep = False  # the edge has gone: no fault of the app, and nobody to tell
        elif answer.done:
            failure.report(error, environ, "close() raised")
        else:
            identity = failure.identity(environ)
            try:
                answer.fail(error, ("500 Internal Server Error\nrequest %s\n" % identity).encode())
            except (Cut, OSError):
                answer.keep = False
            failure.report(error, environ)

    def _tell_end(self, answer, environ, seconds):
        service = self._worker.service
        if answer.failure is not None:
            signals.tell(request_exception, service, environ, exception=answer.failure)
        signals.tell(request_finished, service, environ, status=answer.status, duration=seconds)
        signals.tell(request_tearing_down, service, environ)

    def _refuse(self, error):
        """400 and the end: nothing that follows is read as a request."""
        failure.warn("a request was refused: %s" % error)
        text = ("400 Bad Request\n%s\n" % error).encode()
        try:
            self._socket.sendall(
                b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\n"
                b"content-length: %d\r\nconnection: close\r\n\r\n" % len(text) + text)
        except OSError:
            pass
        return False
