"""Part 4: what upstreams do wrong; each has its word in `Proxy-Status`, and a bad connection is never used again."""

import socket

import pytest

from harness import answering, answering_once, closing_at_once, request, silent
from harness.wire import until


def failing(start_proxy, url, extra="", top=""):
    return start_proxy(f"""
        {top}
        services:
          web:
            upstreams: ["{url}"]
            timeout: {{ connect: 300ms, first_byte: 500ms, request: 1500ms }}
            health: {{ passive: {{ failures: 1000, window: 10s, pause: 1s }} }}
            {extra}
    """)


def check_error(proxy, answer, status, word):
    assert (answer.status, answer.error) == (status, word)
    assert answer.get("proxy-status") == f"proxy; error={word}"
    identity = answer.get("x-request-id")
    lines = answer.text.split("\n")
    assert lines[0].startswith(f"{status} ")
    assert lines[1:] == [word, f"request {identity}", ""]
    assert answer.get("content-type").startswith("text/plain")
    line = proxy.access(1, id=identity)[0]
    assert (line["status"], line["error"]) == (status, word)


def test_connection_refused(start_proxy):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        proxy = failing(start_proxy, f"http://127.0.0.1:{taken.getsockname()[1]}")
        check_error(proxy, proxy.get(), 502, "connection_refused")


def test_a_socket_file_that_is_not_there(start_proxy, folder):
    proxy = failing(start_proxy, f"unix:{folder}/nobody.sock")
    check_error(proxy, proxy.get(), 502, "connection_refused")


def test_connect_takes_too_long(start_proxy):
    # A backlog that is full leaves the next SYN unanswered.
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
            fillers.append(filler)
        proxy = failing(start_proxy, f"http://127.0.0.1:{listener.getsockname()[1]}")
        check_error(proxy, proxy.get(), 504, "connection_timeout")
        for filler in fillers:
            filler.close()


def test_closed_before_an_answer(start_proxy, serve):
    proxy = failing(start_proxy, serve(closing_at_once).url)
    check_error(proxy, proxy.get(), 502, "connection_terminated")


def test_silence(start_proxy, serve):
    proxy = failing(start_proxy, serve(silent).url)
    check_error(proxy, proxy.get(), 504, "http_response_timeout")


def test_the_first_byte_is_not_started_again_by_interim_answers(start_proxy, serve):
    def script(stream, server):
        server.note(stream.read_request())
        while not server.stopping.wait(0.1):
            stream.send(b"HTTP/1.1 102 Processing\r\n\r\n")
    proxy = failing(start_proxy, serve(script).url)
    answer = proxy.get()
    assert answer.status in (502, 504)
    assert answer.error in ("http_response_timeout", "http_protocol_error")


BAD_ANSWERS = {
    "no HTTP": b"SSH-2.0-OpenSSH\r\n\r\n",
    "a bad version": b"HTTP/3.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "a version without a minor number": b"HTTP/1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "a code of two digits": b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
    "a code of four digits": b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
    "a code that is no number": b"HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n",
    "a code below 100": b"HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n",
    "length and coding": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two different lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    "a bad length": b"HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\nhello",
    "an unknown coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello",
    "chunked twice": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "bare LF": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "a blank before the colon": b"HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n",
    "a folded line": b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "NUL in a value": b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n",
    "an unsolicited 101": b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    "endless 1xx": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000,
}


@pytest.mark.parametrize("name", BAD_ANSWERS)
def test_a_bad_answer(start_proxy, serve, name):
    server = serve(answering(BAD_ANSWERS[name]))
    proxy = failing(start_proxy, server.url)
    with proxy.client() as client:
        answer = client.exchange(request())
        assert (answer.status, answer.error) == (502, "http_protocol_error")
        connections = server.connections
        client.exchange(request())
        assert server.connections > connections, "a connection with a bad answer was used again"


def test_a_head_that_is_too_long(start_proxy, serve):
    server = serve(answering_once(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 10_000 + b"\r\nContent-Length: 0\r\n\r\n"))
    proxy = failing(start_proxy, server.url, top="limits: { upstream_header: 4KiB }")
    check_error(proxy, proxy.get(), 502, "http_response_header_section_size")


BROKEN_BODIES = {
    "short of its length": b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
    "no last chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    "within a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe",
    "within the trailers": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y",
}


@pytest.mark.parametrize("name", BROKEN_BODIES)
def test_a_broken_body_is_never_completed(start_proxy, serve, name):
    server = serve(answering_once(BROKEN_BODIES[name]))
    proxy = failing(start_proxy, server.url)
    with proxy.client() as client:
        client.send(request())
        answer = client.read_body(client.read_head(), until_end=True)
        assert not answer.complete
    line = proxy.access(1)[0]
    assert (line["status"], line["error"], line["outcome"]) == (200, "http_response_incomplete", "upstream_failed")


def test_a_bad_chunk_spoils_the_answer(start_proxy, serve):
    def script(stream, server):
        server.note(stream.read_request())
        stream.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        server.stopping.wait(0.3)  # so that the head has gone to the client
        stream.send(b"zz\r\n")
    proxy = failing(start_proxy, serve(script).url)
    with proxy.client() as client:
        client.send(request())
        answer = client.read_body(client.read_head(), until_end=True)
        assert (answer.body, answer.complete) == (b"hello", False)
    assert proxy.access(1)[0]["error"] == "http_response_incomplete"


def test_a_broken_body_is_cut_for_a_client_of_http_1_0_too(start_proxy, serve):
    # Its only sign of a broken answer is a length that is not reached, or a reset.
    server = serve(answering_once(BROKEN_BODIES["short of its length"]))
    proxy = failing(start_proxy, server.url)
    with proxy.client() as client:
        client.send(request(version="1.0"))
        answer = client.read_body(client.read_head())
        assert not answer.complete


def test_bytes_left_over_spoil_the_connection_but_not_the_answer(start_proxy, serve):
    server = serve(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"))
    proxy = failing(start_proxy, server.url)
    with proxy.client() as client:
        for number in range(5):
            assert client.exchange(request(f"/{number}")).text == "ok"
    assert server.connections == 5


def closes_while_idle(stream, server):
    """Answers one request, and closes only when the next one has arrived."""
    server.note(stream.read_request())
    stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    server.note(stream.read_request())


def test_a_reused_connection_that_closes_is_retried_for_what_is_safe(start_proxy, serve):
    server = serve(closes_while_idle)
    proxy = start_proxy(f"edges: 1\nservices: {{ web: {{ upstreams: ['{server.url}'] }} }}")
    with proxy.client() as client:
        assert client.exchange(request("/1")).text == "ok"
        assert client.exchange(request("/2")).text == "ok"
    assert [message.target for message in server.requests] == ["/1", "/2", "/2"]
    # It was the connection that was dead: no attempt of `retry.attempts` was used up.
    assert [line["retries"] for line in proxy.access(2)] == [0, 0]


def test_a_post_on_a_reused_connection_that_closes_is_not_sent_twice(start_proxy, serve):
    server = serve(closes_while_idle)
    proxy = start_proxy(f"edges: 1\nservices: {{ web: {{ upstreams: ['{server.url}'] }} }}")
    with proxy.client() as client:
        assert client.exchange(request("/1")).text == "ok"
        answer = client.exchange(request("/2", "POST", body=b"once"))
        assert (answer.status, answer.error) == (502, "connection_terminated")
    assert [message.target for message in server.requests] == ["/1", "/2"]


def test_a_connection_that_closed_while_idle_is_not_used(start_proxy, serve):
    closed = []

    def script(stream, server):
        server.note(stream.read_request())
        stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        stream.close()
        closed.append(1)
    server = serve(script)
    proxy = start_proxy(f"edges: 1\nservices: {{ web: {{ upstreams: ['{server.url}'] }} }}")
    with proxy.client() as client:
        for number in range(20):
            assert client.exchange(request(f"/{number}", "POST", body=b"x")).text == "ok"
            until(lambda: len(closed) == number + 1, "the close")
    assert len(server.requests) == 20


def test_the_request_takes_longer_than_it_may(start_proxy, serve):
    def script(stream, server):
        server.note(stream.read_request())
        stream.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not server.stopping.wait(0.1):
            stream.send(b"1\r\nx\r\n")
    proxy = failing(start_proxy, serve(script).url)
    with proxy.client() as client:
        client.send(request())
        answer = client.read_body(client.read_head())
        assert not answer.complete
    assert proxy.access(1)[0]["outcome"] == "timeout"


def test_a_name_that_is_not_resolved(start_proxy):
    proxy = failing(start_proxy, "http://name.invalid:80")
    check_error(proxy, proxy.get(), 503, "dns_error")


def test_a_name_that_is_resolved(start_proxy, serve):
    server = serve()
    proxy = failing(start_proxy, f"http://localhost:{server.port}")
    assert proxy.get().text == "ok"


def test_an_answer_before_the_request_is_never_given_to_anyone(start_proxy, serve):
    def script(stream, server):
        stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
        while True:
            asked = stream.read_request()
            stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            server.note(asked)
    server = serve(script)
    proxy = failing(start_proxy, server.url)
    with proxy.client() as client:
        client.exchange(request("/1"))
        # The answer that belongs to nobody is on the connection before it is idle for long.
        until(lambda: server.requests, "the first request")
        client.exchange(request("/2"))
    # Whatever was said too early belongs to no later request: two answers on one connection would be shifted by one.
    assert until(lambda: server.connections >= 2 or len(server.requests) <= 1, "a second connection")
