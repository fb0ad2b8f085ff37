"""Part 4: heads and bodies that are refused, and nothing behind them is read as a request (contract section 4)."""

import pytest

from harness import ScriptedServer, answering, request

BEHIND = b"GET /behind HTTP/1.1\r\nHost: example.test\r\n\r\n"


@pytest.fixture(scope="module")
def upstream():
    server = ScriptedServer(answering())
    yield server
    server.close()


@pytest.fixture(scope="module")
def proxy(start_shared_proxy, upstream):
    return start_shared_proxy(f"""
        limits: {{ header: 4KiB, headers: 20, target: 1KiB, body: 10KiB }}
        services:
          web: {{ upstreams: ["{upstream.url}"] }}
    """)


def head(*lines, first="GET /refused HTTP/1.1", host="Host: example.test"):
    """A head of raw lines, exactly as given."""
    return "\r\n".join([first, *([host] if host else []), *lines]).encode("latin-1") + b"\r\n\r\n"


FRAMING = {
    "length and coding": head("Content-Length: 5", "Transfer-Encoding: chunked"),
    "coding and length": head("Transfer-Encoding: chunked", "Content-Length: 0"),
    "length twice": head("Content-Length: 5", "Content-Length: 5"),
    "different lengths": head("Content-Length: 5", "Content-Length: 6"),
    "a list of lengths": head("Content-Length: 5, 5"),
    "a signed length": head("Content-Length: +5"),
    "a negative length": head("Content-Length: -1"),
    "a hexadecimal length": head("Content-Length: 0x5"),
    "an empty length": head("Content-Length:"),
    "a length with a blank inside": head("Content-Length: 1 0"),
    "a length beyond any number": head("Content-Length: 99999999999999999999999999"),
    "chunked twice": head("Transfer-Encoding: chunked, chunked"),
    "two coding fields": head("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
    "chunked not last": head("Transfer-Encoding: chunked, identity"),
    "chunked with a parameter": head("Transfer-Encoding: chunked;q=1"),
    "an empty coding": head("Transfer-Encoding:"),
    "an ill-formed coding": head("Transfer-Encoding: chun ked"),
    "a coding with a control before it": head("Transfer-Encoding: \x0bchunked"),
    "coding in HTTP/1.0": head("Transfer-Encoding: chunked", first="POST /refused HTTP/1.0"),
}

LINES = {
    "bare LF after the request line": b"GET /refused HTTP/1.1\nHost: example.test\r\n\r\n",
    "bare LF after a field": b"GET /refused HTTP/1.1\r\nHost: example.test\nX: y\r\n\r\n",
    "bare LF as the end": b"GET /refused HTTP/1.1\r\nHost: example.test\r\n\n",
    "bare CR in a value": head("X: a\rb"),
    "bare CR in the request line": b"GET /refused\r HTTP/1.1\r\nHost: example.test\r\n\r\n",
    "NUL in a value": head("X: a\0b"),
    "NUL in a name": head("X\0Y: a"),
    "a control in a value": head("X: a\x01b"),
    "DEL in a value": head("X: a\x7fb"),
    "a control in a name": head("X\x01: a"),
    "a blank before the colon": head("X : a"),
    "a tab before the colon": head("X\t: a"),
    "a blank before Content-Length's colon": head("Content-Length : 5"),
    "a folded line": head("X: a", " b"),
    "a folded first line": b"GET /refused HTTP/1.1\r\n Host: example.test\r\n\r\n",
    "no colon": head("X"),
    "an empty name": head(": a"),
    "a name in quotes": head('"X": a'),
    "a name with a blank": head("X Y: a"),
    "a name with a brace": head("X{: a"),
    "a name beyond ASCII": head("X\xe9: a"),
}

HOSTS = {
    "no host": head(host=None),
    "two hosts": head("Host: example.test"),
    "two different hosts": head("Host: other.test"),
    "a host list": head(host="Host: a.test, b.test"),
    "a host with user information": head(host="Host: user@example.test"),
    "a host with a bad port": head(host="Host: example.test:http"),
    "a host with a port too large": head(host="Host: example.test:65536"),
    "a host with a path": head(host="Host: example.test/x"),
    "a host with a blank": head(host="Host: exa mple.test"),
    "a host with an open bracket": head(host="Host: [::1"),
}

REQUEST_LINES = {
    "a lower-case method": head(first="get /refused HTTP/1.1"),
    "an empty method": head(first=" /refused HTTP/1.1"),
    "a method with a bracket": head(first="GE(T /refused HTTP/1.1"),
    "a method in quotes": head(first='"GET" /refused HTTP/1.1'),
    "CONNECT": head(first="CONNECT example.test:443 HTTP/1.1"),
    "two blanks": head(first="GET  /refused HTTP/1.1"),
    "a blank in the target": head(first="GET /refused it HTTP/1.1"),
    "a tab in the target": head(first="GET /refused\tit HTTP/1.1"),
    "a control in the target": head(first="GET /refused\x01 HTTP/1.1"),
    "a relative target": head(first="GET refused HTTP/1.1"),
    "an odd scheme": head(first="GET ftp://example.test/refused HTTP/1.1"),
    "no version": head(first="GET /refused"),
    "a lower-case version": head(first="GET /refused http/1.1"),
    "another protocol": head(first="GET /refused RTSP/1.1"),
    "a version without its minor number": head(first="GET /refused HTTP/1"),
    "a version with many digits": head(first="GET /refused HTTP/1.10"),
    "a blank after the version": head(first="GET /refused HTTP/1.1 "),
}

OTHERS = {
    "a transfer coding that is well-formed and unknown": (501, head("Transfer-Encoding: gzip")),
    "HTTP/3.0": (505, head(first="GET /refused HTTP/3.0")),
    "a long target": (414, head(first="GET /" + "x" * 2000 + " HTTP/1.1")),
    "a long head": (431, head("X: " + "y" * 5000)),
    "many fields": (431, head(*[f"X-{number}: y" for number in range(30)])),
    "an announced body that is too large": (413, head("Content-Length: 10241", first="POST /refused HTTP/1.1")),
}

CASES = {
    **{name: (400, data) for group in (FRAMING, LINES, HOSTS, REQUEST_LINES) for name, data in group.items()}, **OTHERS}


@pytest.mark.parametrize("name", CASES)
def test_a_head_is_refused(proxy, upstream, name):
    status, data = CASES[name]
    with proxy.client() as client:
        client.send(data + BEHIND)
        answer = client.response()
        assert answer.status == status
        assert answer.error == "http_request_error"
        assert answer.get("connection") == "close"
        assert answer.get("content-type").startswith("text/plain")
        lines = answer.text.split("\n")
        assert lines[0].startswith(str(status)) and "http_request_error" in lines
        assert client.ended()
    assert all("refused" not in message.target and message.target != "/behind" for message in upstream.requests)


BAD_CHUNKS = {
    "no size": b"\r\nabc\r\n",
    "a size that is no number": b"xyz\r\nabc\r\n",
    "a signed size": b"+3\r\nabc\r\n",
    "a size with 0x": b"0x3\r\nabc\r\n",
    "a blank before the size": b" 3\r\nabc\r\n",
    "a size beyond any number": b"fffffffffffffffff\r\nabc\r\n",
    "bare LF after the size": b"3\nabc\r\n",
    "no line end after the data": b"3\r\nabcd\r\n",
    "bare LF after the data": b"3\r\nabc\n0\r\n\r\n",
    "a bad trailer": b"3\r\nabc\r\n0\r\nX : y\r\n\r\n",
    "a control in an extension": b"3;a=\x01\r\nabc\r\n",
}


@pytest.mark.parametrize("name", BAD_CHUNKS)
def test_a_chunk_is_refused(proxy, upstream, name):
    with proxy.client() as client:
        client.send(request("/chunks", "POST", transfer_encoding="chunked") + BAD_CHUNKS[name] + BEHIND)
        answer = client.response()
        assert (answer.status, answer.get("connection")) == (400, "close")
        assert client.ended()
    assert all(message.target != "/behind" for message in upstream.requests)


def test_a_chunked_body_that_grows_too_large_is_refused(proxy):
    with proxy.client() as client:
        client.send(request("/chunks", "POST", transfer_encoding="chunked"))
        for _ in range(11):
            if not client.try_send(b"400\r\n" + b"x" * 1024 + b"\r\n"):
                break
        assert client.response().status == 413
        assert client.ended()


def test_what_is_refused_is_logged_as_rejected(proxy):
    with proxy.client() as client:
        port = client.port
        client.exchange(head("Content-Length: 5", "Transfer-Encoding: chunked"))
    line = proxy.access(1, remote_port=port)[0]
    assert (line["status"], line["outcome"], line["error"]) == (400, "rejected", "http_request_error")
    assert line["service"] is None


def test_a_head_of_noise_is_logged_with_its_unreadable_fields_null(proxy):
    with proxy.client() as client:
        port = client.port
        assert client.exchange(b"\x01\x02\x03\r\n\r\n").status == 400
    line = proxy.access(1, remote_port=port)[0]
    assert (line["outcome"], line["method"], line["target"], line["host"]) == ("rejected", None, None, None)


@pytest.mark.parametrize("data", [
    head("Content-Length: 2") + b"ok",
    head("Content-Length:2") + b"ok",
    head("Content-Length: \t2 \t") + b"ok",
    head("Transfer-Encoding: Chunked") + b"2;a=b;c=\"d\"\r\nok\r\n0\r\nX: y\r\n\r\n",
    b"\r\n" + head(),
    head(first="GET http://example.test/absolute HTTP/1.1"),
    head(first="OPTIONS * HTTP/1.1"),
    head(first="PROPFIND / HTTP/1.1"),
    head("X: \xe9", "Y:", "Z!#$%&'*+-.^_`|~: a"),
    head(host="Host: example.test:8080"),
    head(host="Host: [::1]:8080"),
])
def test_what_only_looks_odd_is_served(proxy, data):
    with proxy.client() as client:
        assert client.exchange(data).status == 200
        assert client.exchange(request("/again")).status == 200
