"""The harness itself: its checkers are shown to fail, once each."""

import os
import subprocess

import pytest

from harness import Client, Load, ScriptedServer, answering, answering_once, leaks, request
from harness.wire import until


@pytest.fixture
def served():
    servers = []

    def serve(script):
        servers.append(ScriptedServer(script))
        return ("127.0.0.1", servers[-1].port)
    yield serve
    for server in servers:
        server.close()


def test_a_lost_request_is_seen(served):
    def lossy(stream, server):
        while True:
            server.note(stream.read_request())
            if len(server.requests) % 10 == 0:
                return
            stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    address = served(lossy)

    class Stand:
        def client(self):
            return Client(address)
    with pytest.raises(AssertionError):
        Load(Stand(), clients=2).more(50).end()


def test_a_wrong_status_is_seen(served):
    address = served(answering(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"))

    class Stand:
        def client(self):
            return Client(address)
    with pytest.raises(AssertionError):
        Load(Stand(), clients=1).more(5).end()


@pytest.mark.parametrize("answer", [
    b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y",
])
def test_a_broken_body_is_seen(served, answer):
    with Client(served(answering_once(answer))) as client:
        assert not client.exchange(request()).complete


def test_bytes_before_the_end_are_no_end(served):
    with Client(served(answering_once(b"HTTP/1.1 204 No Content\r\n\r\nmore"))) as client:
        assert client.exchange(request()).status == 204
        assert not client.ended()


def test_a_process_left_behind_is_seen_even_when_its_parent_is_gone():
    subprocess.run(["sh", "-c", "sleep 1000 >/dev/null 2>&1 &"], check=True)
    left = leaks.left_behind()
    assert [process.arguments for process in left] == ["sleep 1000"]
    os.kill(left[0].pid, 9)
    until(lambda: not leaks.left_behind(), "its end")


def test_a_script_that_fails_fails_the_test():
    def wrong(stream, server):
        assert stream.read_request().method == "POST"
    server = ScriptedServer(wrong)
    with Client(("127.0.0.1", server.port)) as client:
        client.send(request())
        assert client.ended()
    with pytest.raises(AssertionError):
        server.close()
