"""Part 4: HTTP/1.1 through the proxy, both sides (RFC 9110, RFC 9112)."""

import re
import threading

import pytest

from harness import answering, answering_once, chunked, request
from harness.wire import Client, Closed, until

ID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")


def through(start_proxy, server, extra=""):
    return start_proxy(f"services: {{ web: {{ upstreams: ['{server.url}']{extra} }} }}")


def test_a_connection_is_kept_on_both_sides(start_proxy, serve):
    server = serve()
    proxy = start_proxy(f"edges: 1\nservices: {{ web: {{ upstreams: ['{server.url}'] }} }}")
    with proxy.client() as client:
        for number in range(20):
            assert client.exchange(request(f"/{number}")).text == "ok"
    assert [message.target for message in server.requests] == [f"/{number}" for number in range(20)]
    assert server.connections == 1


def test_pipelined_requests_are_answered_in_order(start_proxy, serve):
    server = serve(answering(lambda message: b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (
        len(message.target), message.target.encode())))
    proxy = through(start_proxy, server)
    with proxy.client() as client:
        client.send(b"".join(
            request(f"/{number}") + request(f"/{number}/posted", "POST", body=b"x" * number) for number in range(30)))
        for number in range(30):
            assert client.response().text == f"/{number}"
            assert client.response().text == f"/{number}/posted"


def test_a_request_cut_at_every_byte_is_the_same_request(start_proxy, serve):
    server = serve()
    proxy = through(start_proxy, server)
    data = request("/cut", "POST", transfer_encoding="chunked", x_field="a") + chunked(b"abc", b"defgh", trailers=b"X: y\r\n")
    with proxy.client() as client:
        for byte in data:
            client.send(bytes([byte]))
        assert client.response().status == 200
        for cut in range(1, len(data)):
            client.send(data[:cut])
            client.send(data[cut:])
            assert client.response().status == 200
    assert {(message.body, message.get("x-field")) for message in server.requests} == {(b"abcdefgh", "a")}


def test_a_chunked_request_keeps_its_trailers(start_proxy, serve):
    server = serve()
    proxy = through(start_proxy, server)
    with proxy.client() as client:
        body = b"5;name=value\r\nhello\r\n" + chunked(b" there", trailers=b"X-Sum: 1\r\nX-More: 2\r\n")
        client.exchange(request("/", "POST", transfer_encoding="chunked", trailer="X-Sum") + body)
    message = server.requests[0]
    assert message.body == b"hello there"
    assert message.get("trailer") == "X-Sum"
    assert dict(message.trailers) == {"X-Sum": "1", "X-More": "2"}


def test_a_chunked_answer_keeps_its_chunks_and_trailers(start_proxy, serve):
    server = serve(answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
                             + chunked(b"hello", b" there", trailers=b"X-Sum: 1\r\n")))
    proxy = through(start_proxy, server)
    with proxy.client() as client:
        answer = client.exchange(request())
        assert (answer.body, answer.framing) == (b"hello there", "chunked")
        assert ("X-Sum", "1") in answer.trailers
        assert client.exchange(request()).body == b"hello there"


def test_an_answer_until_the_end_of_the_connection(start_proxy, serve):
    server = serve(answering_once(b"HTTP/1.1 200 OK\r\n\r\nuntil the end"))
    proxy = through(start_proxy, server)
    with proxy.client() as client:
        answer = client.exchange(request())
        assert (answer.body, answer.complete) == (b"until the end", True)
        assert answer.framing == "chunked"
        assert client.exchange(request()).body == b"until the end"


def test_an_http_1_0_answer_is_passed_as_1_1(start_proxy, serve):
    server = serve(answering_once(b"HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nold"))
    proxy = through(start_proxy, server)
    answer = proxy.get()
    assert (answer.start.split(" ")[0], answer.body) == ("HTTP/1.1", b"old")


@pytest.mark.parametrize("method, status", [("HEAD", 200), ("GET", 204), ("GET", 304)])
def test_answers_without_a_body(start_proxy, serve, method, status):
    length = b"" if status == 204 else b"Content-Length: 1000\r\n"
    server = serve(answering(b"HTTP/1.1 %d Reason\r\n%sETag: \"a\"\r\n\r\n" % (status, length)))
    proxy = through(start_proxy, server)
    with proxy.client() as client:
        for _ in range(2):
            answer = client.exchange(request("/", method))
            assert (answer.status, answer.body) == (status, b"")
            assert answer.get("transfer-encoding") is None
        assert answer.get("content-length") == (None if status == 204 else "1000")


def test_expect_continue_goes_end_to_end(start_proxy, serve):
    def script(stream, server):
        message = stream.read_head()
        assert message.get("expect") == "100-continue"
        stream.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        server.note(stream.read_body(message))
        stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    server = serve(script)
    proxy = through(start_proxy, server)
    with proxy.client() as client:
        client.send(request("/", "POST", content_length=5, expect="100-continue"))
        assert client.read_head().status == 100
        client.send(b"hello")
        assert client.response().text == "ok"
    assert server.requests[0].body == b"hello"


def test_a_refused_expectation_leaves_the_body_unsent(start_proxy, serve):
    def script(stream, server):
        server.note(stream.read_head())
        stream.send(b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n")
        server.stopping.wait(30)
    server = serve(script)
    proxy = through(start_proxy, server)
    with proxy.client() as client:
        assert client.exchange(request("/", "POST", content_length=5, expect="100-continue")).status == 417
        # The body was never sent, so the connection cannot carry another request.
        assert client.ended()


def test_interim_answers_pass(start_proxy, serve):
    server = serve(answering(
        b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
        b"HTTP/1.1 103 Early Hints\r\nLink: </b.css>; rel=preload\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
    proxy = through(start_proxy, server)
    with proxy.client() as client:
        interim = []
        assert client.exchange(request(), interim=interim).text == "ok"
        assert [head.get("link") for head in interim] == ["</a.css>; rel=preload", "</b.css>; rel=preload"]
        # A client of HTTP/1.0 cannot read them.
        interim = []
        assert client.exchange(request(version="1.0"), interim=interim).text == "ok"
        assert interim == []


def test_an_early_answer_while_the_body_is_still_coming(start_proxy, serve):
    def script(stream, server):
        server.note(stream.read_head())
        stream.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
    server = serve(script)
    proxy = through(start_proxy, server)
    with proxy.client() as client:
        client.send(request("/", "POST", content_length=100_000) + b"x" * 1000)
        answer = client.response()
        assert (answer.status, answer.text) == (403, "no")


def test_a_websocket_is_a_tunnel(start_proxy, serve):
    def script(stream, server):
        message = server.note(stream.read_head())
        assert message.get("upgrade") == "websocket" and "upgrade" in message.get("connection").lower()
        stream.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nfirst")
        while stream.more():
            data, stream.waiting = stream.waiting, b""
            stream.send(data.upper())
        stream.send(b"last")
    server = serve(script)
    proxy = through(start_proxy, server)
    with proxy.client() as client:
        answer = client.exchange(request(upgrade="websocket", connection="Upgrade", sec_websocket_key="a2V5", sec_websocket_version=13))
        assert (answer.status, answer.get("upgrade")) == (101, "websocket")
        assert client.read(5) == b"first"
        for size in (1, 1000, 100_000):
            client.send(b"a" * size)
            assert client.read(size) == b"A" * size
        client.finish_sending()
        assert client.read_to_end() == b"last"
    assert proxy.access(1)[0]["status"] == 101


def test_an_upgrade_that_the_upstream_declines_is_a_request(start_proxy, serve):
    proxy = through(start_proxy, serve())
    with proxy.client() as client:
        for _ in range(2):
            assert client.exchange(request(upgrade="websocket", connection="Upgrade")).text == "ok"


@pytest.mark.parametrize("fields, kept", [({}, False), ({"connection": "keep-alive"}, True)])
def test_clients_of_http_1_0(start_proxy, serve, fields, kept):
    server = serve()
    proxy = through(start_proxy, server)
    with proxy.client() as client:
        answer = client.exchange(request(version="1.0", **fields))
        assert (answer.status, answer.text, answer.framing) == (200, "ok", "length")
        if kept:
            assert answer.get("connection").lower() == "keep-alive"
            assert client.exchange(request(version="1.0", **fields)).text == "ok"
        else:
            assert client.ended()
    assert server.requests[0].start.endswith("HTTP/1.1")


def test_a_chunked_answer_to_a_client_of_http_1_0_ends_with_the_connection(start_proxy, serve):
    server = serve(answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"hello", b" there")))
    proxy = through(start_proxy, server)
    with proxy.client() as client:
        answer = client.exchange(request(version="1.0", connection="keep-alive"))
        assert (answer.body, answer.get("transfer-encoding")) == (b"hello there", None)
        assert client.ended()


def test_a_request_of_http_1_0_without_a_host(start_proxy, serve):
    server = serve()
    proxy = through(start_proxy, server)
    assert proxy.get(version="1.0", host=None).status == 200
    assert len(server.requests[0].all("host")) == 1


def test_connection_close_is_obeyed_and_said(start_proxy, serve):
    proxy = through(start_proxy, serve())
    with proxy.client() as client:
        answer = client.exchange(request(connection="close"))
        assert answer.get("connection") == "close"
        assert client.ended()


def test_the_upstreams_close_is_not_the_clients(start_proxy, serve):
    server = serve(answering_once(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"))
    proxy = through(start_proxy, server)
    with proxy.client() as client:
        for _ in range(3):
            assert client.exchange(request()).text == "ok"
    assert server.connections == 3


def test_an_absolute_target_gives_the_host(start_proxy, serve):
    server = serve()
    proxy = through(start_proxy, server)
    with proxy.client() as client:
        client.exchange(request("http://other.test:8080/path?a=b", host="example.test"))
    message = server.requests[0]
    assert (message.target, message.get("host")) == ("/path?a=b", "other.test:8080")


def test_a_client_that_half_closes_gets_its_answer(start_proxy, serve):
    release = threading.Event()

    def script(stream, server):
        server.note(stream.read_request())
        release.wait(30)
        stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    server = serve(script)
    proxy = through(start_proxy, server)
    with proxy.client() as client:
        client.send(request())
        client.finish_sending()
        until(lambda: server.requests, "the request")
        release.set()
        assert client.response().text == "ok"
        assert client.ended()


def test_hop_by_hop_fields_stay_on_their_hop(start_proxy, serve):
    server = serve(answering(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: X-Answer-Hop, Keep-Alive\r\nX-Answer-Hop: 1\r\n"
        b"Keep-Alive: timeout=5\r\nProxy-Connection: close\r\nX-Kept: 1\r\n\r\nok"))
    proxy = through(start_proxy, server)
    with proxy.client() as client:
        answer = client.exchange(request(
            connection="X-Hop, keep-alive", x_hop=1, keep_alive="timeout=5", proxy_connection="close", te="gzip",
            proxy_authorization="Basic Zm9v", x_kept=1))
        assert client.exchange(request()).text == "ok"
    message = server.requests[0]
    for name in ("x-hop", "keep-alive", "proxy-connection", "te"):
        assert message.get(name) is None, name
    assert message.get("x-kept") == "1"
    for name in ("x-answer-hop", "keep-alive", "proxy-connection"):
        assert answer.get(name) is None, name
    assert answer.get("x-kept") == "1"


@pytest.mark.parametrize("named", ["host", "content-length", "transfer-encoding"])
def test_connection_may_not_take_away_what_carries_the_request(start_proxy, serve, named):
    server = serve()
    proxy = through(start_proxy, server)
    with proxy.client() as client:
        answer = client.exchange(request("/", "POST", body=b"hello", connection=f"close, {named}"))
    if answer.status == 200:
        assert (server.requests[0].get("host"), server.requests[0].body) == ("example.test", b"hello")
    else:
        assert answer.status == 400 and server.requests == []


def test_forwarded_fields_tell_of_the_real_client_only(start_proxy, serve):
    server = serve()
    proxy = through(start_proxy, server)
    with proxy.client() as client:
        answer = client.exchange(request(
            host="example.test:8080", x_forwarded_for="6.6.6.6", x_forwarded_proto="https", x_forwarded_host="evil.test",
            x_forwarded_port=1, x_forwarded_prefix="/evil", forwarded="for=6.6.6.6;host=evil.test", x_request_id="mine",
            proxy_peer="0 https 6.6.6.6 1 443 -"))
    message = server.requests[0]
    assert message.all("host") == ["example.test:8080"]
    assert message.all("x-forwarded-for") == ["127.0.0.1"]
    assert message.all("x-forwarded-proto") == ["http"]
    assert message.all("x-forwarded-host") == ["example.test:8080"]
    assert message.all("x-forwarded-port") in (["8080"], [str(proxy.address()[1])])
    assert message.all("x-forwarded-prefix") == []
    forwarded = message.get("forwarded")
    assert "for=127.0.0.1" in forwarded and "proto=http" in forwarded and "6.6.6.6" not in forwarded
    assert message.get("proxy-peer") is None
    assert "1.1" in message.get("via")
    assert ID.fullmatch(message.get("x-request-id"))
    assert answer.all("x-request-id") == message.all("x-request-id")


def test_a_trusted_proxys_word_is_kept(start_proxy, serve):
    server = serve()
    proxy = start_proxy(f"trusted_proxies: [127.0.0.0/8]\nservices: {{ web: {{ upstreams: ['{server.url}'] }} }}")
    given = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
    with proxy.client() as client:
        answer = client.exchange(request(
            x_forwarded_for="203.0.113.7", x_forwarded_proto="https", x_forwarded_host="outer.test", x_request_id=given))
    message = server.requests[0]
    assert message.get("x-forwarded-for").replace(" ", "").startswith("203.0.113.7")
    assert message.get("x-forwarded-proto") == "https"
    assert (message.get("x-request-id"), answer.get("x-request-id")) == (given, given)


@pytest.mark.parametrize("fields", [
    {"forwarded": 'for="203.0.113.7:4711";proto=https'}, {"forwarded": "for=6.6.6.6, for=203.0.113.7;proto=https, for=127.0.0.9"},
    {"x_forwarded_for": "6.6.6.6, 203.0.113.7:55, 127.0.0.9", "x_forwarded_proto": "https"},
    {"x_forwarded_for": "203.0.113.7", "x_forwarded_proto": "https", "forwarded": "for=6.6.6.6;proto=http"}],
    ids=["forwarded", "chain", "list", "both"])
def test_a_trusted_proxy_names_the_client_in_either_way(start_proxy, serve, fields):
    server = serve()
    proxy = start_proxy(f"trusted_proxies: [127.0.0.0/8]\nservices: {{ web: {{ upstreams: ['{server.url}'] }} }}")
    assert proxy.get(**fields).status == 200
    assert proxy.access(1)[0]["remote"] == "203.0.113.7"
    message = server.requests[0]
    assert message.all("x-forwarded-proto") == ["https"]
    assert "203.0.113.7" in message.get("x-forwarded-for") and message.get("x-forwarded-for").endswith(", 127.0.0.1")
    last = message.get("forwarded").split(", ")[-1]
    assert "203.0.113.7" in message.get("forwarded") and last.startswith("for=127.0.0.1;proto=https")


@pytest.mark.parametrize("value", ["for=_hidden", "for=unknown", 'for="203.0.113.7, for=127.0.0.9', "for=6.6.6.6, for=_x, for=127.0.0.1"])
def test_a_chain_that_names_nobody_is_ended_there(start_proxy, serve, value):
    proxy = start_proxy(f"trusted_proxies: [127.0.0.0/8]\nservices: {{ web: {{ upstreams: ['{serve().url}'] }} }}")
    assert proxy.get(forwarded=value).status == 200
    assert proxy.access(1)[0]["remote"] == "127.0.0.1"


def test_an_id_that_is_no_id_is_not_taken_even_from_a_trusted_proxy(start_proxy, serve):
    server = serve()
    proxy = start_proxy(f"trusted_proxies: [127.0.0.0/8]\nservices: {{ web: {{ upstreams: ['{server.url}'] }} }}")
    proxy.get(x_request_id="a" * 300)
    assert server.requests[0].get("x-request-id") != "a" * 300


def test_every_answer_has_an_id_of_its_own(start_proxy, serve):
    proxy = through(start_proxy, serve())
    with proxy.client() as client:
        ids = [client.exchange(request()).get("x-request-id") for _ in range(50)]
    assert len(set(ids)) == 50 and all(ID.fullmatch(each) for each in ids)
    assert sorted(ids) == ids or len({each[:10] for each in ids}) > 1
    assert {line["id"] for line in proxy.access(50)} == set(ids)


def test_fields_with_the_same_name_keep_their_order(start_proxy, serve):
    server = serve(answering(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n"))
    proxy = through(start_proxy, server)
    with proxy.client() as client:
        answer = client.exchange(b"GET / HTTP/1.1\r\nHost: example.test\r\nX: 1\r\nY: 2\r\nX: 3\r\n\r\n")
    assert server.requests[0].all("x") == ["1", "3"]
    assert answer.all("set-cookie") == ["a=1", "b=2"]


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 1_000_000])
def test_bodies_of_every_size_pass_both_ways(start_proxy, serve, size):
    body = bytes(number % 251 for number in range(size))
    server = serve(answering(lambda message: b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (
        len(message.body), message.body)))
    proxy = through(start_proxy, server)
    with proxy.client() as client:
        for framing in ("length", "chunked"):
            data = request("/", "POST", body=body) if framing == "length" else \
                request("/", "POST", transfer_encoding="chunked") + chunked(*[body[at:at + 7000] for at in range(0, size, 7000)])
            sender = threading.Thread(target=client.send, args=(data,))
            sender.start()
            answer = client.response("POST")
            sender.join()
            assert answer.body == body
    assert [line["request_bytes"] for line in proxy.access(2)] == [size, size]
    assert [line["response_bytes"] for line in proxy.access(2)] == [size, size]


def test_an_answer_that_breaks_off_is_seen_as_broken(start_proxy, serve):
    server = serve(answering_once(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"))
    proxy = through(start_proxy, server)
    with proxy.client() as client:
        client.send(request())
        head = client.read_head()
        assert head.status == 200
        rest = client.read_to_end()
        assert b"hello" in rest and b"\r\n0\r\n" not in rest
    line = proxy.access(1)[0]
    assert (line["error"], line["outcome"]) == ("http_response_incomplete", "upstream_failed")


def test_a_client_that_goes_away_is_logged(start_proxy, serve):
    release = threading.Event()

    def script(stream, server):
        server.note(stream.read_request())
        release.wait(30)
        stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    server = serve(script)
    proxy = through(start_proxy, server)
    client = proxy.client()
    client.send(request("/gone"))
    until(lambda: server.requests, "the request")
    client.reset()
    line = proxy.access(1)[0]
    release.set()
    assert (line["target"], line["outcome"]) == ("/gone", "client_closed")
    assert proxy.get().status == 200


def test_a_unix_socket_upstream(start_proxy, serve):
    server = serve(unix=True)
    proxy = through(start_proxy, server)
    assert [proxy.get().text for _ in range(3)] == ["ok"] * 3


def test_a_request_that_ends_within_its_body_reaches_no_answer(start_proxy, serve):
    def script(stream, server):
        head = stream.read_head()
        server.note(stream.read_body(head))
        raise Closed()
    server = serve(script)
    proxy = through(start_proxy, server)
    client = proxy.client()
    client.send(request("/", "POST", content_length=1000) + b"x" * 10)
    client.finish_sending()
    client.read_to_end()
    client.close()
    assert proxy.access(1)[0]["outcome"] in ("client_closed", "rejected")
    assert all(not message.complete for message in server.requests)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_client_that_names_no_host_is_given_the_address_it_came_to(start_proxy, serve, address):
    server = serve()
    proxy = start_proxy(f"listen: ['http://*:0']\nservices: {{ web: {{ upstreams: ['{server.url}'] }} }}")
    port = proxy.address()[1]
    with Client((address, port)) as client:
        assert client.exchange(request(version="1.0", host=None)).status == 200
    message = server.requests[0]
    name = f"[{address}]" if ":" in address else address
    assert message.get("host") == message.get("x-forwarded-host") == f"{name}:{port}"
