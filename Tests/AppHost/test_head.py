"""The head parser: everything that is no request of our edge is refused, wherever it is cut."""

import random

import pytest

import proxyapp.head
from master import Gone, head
from proxyapp.head import RAW_BYTES_MAX, RAW_MAX, Heads, Refused

GOOD = head("POST", "/a%20b?c=d%26", [("Cookie", "a=1"), ("Cookie", "b=2"), ("accept", "x"),
                                       ("Accept", "y"), ("content-length", "5")], place=7,
            peer="https 2001:db8::1 51234 8443 /pre%20fix", host="shop.example:8443")


def read(data, base=None):
    assert data.endswith(b"\r\n\r\n")
    return Heads({"SCRIPT_NAME": ""} if base is None else base).parse(data[:-4])


def outcome(heads, data):
    """What becomes of a head, in a form that can be compared."""
    try:
        return heads.parse(data)
    except Refused as error:
        return str(error)


def test_a_head_becomes_an_environ():
    environ, place, length = read(GOOD)
    assert (place, length) == (7, 5)
    assert environ == {
        "REQUEST_METHOD": "POST", "SCRIPT_NAME": "/pre fix", "PATH_INFO": "/a b",
        "QUERY_STRING": "c=d%26", "REQUEST_URI": "/pre%20fix/a%20b?c=d%26",
        "wsgi.url_scheme": "https", "REMOTE_ADDR": "2001:db8::1", "REMOTE_PORT": "51234",
        "SERVER_NAME": "shop.example", "SERVER_PORT": "8443", "HTTP_HOST": "shop.example:8443",
        "HTTP_X_REQUEST_ID": "01JD0000000000000000000000", "HTTP_COOKIE": "a=1; b=2",
        "HTTP_ACCEPT": "x, y", "CONTENT_LENGTH": "5"}


@pytest.mark.parametrize("host, scheme, name, port", [
    ("example.com", "https", "example.com", "443"),
    ("example.com", "http", "example.com", "80"),
    ("example.com:81", "http", "example.com", "81"),
    ("[::1]:8443", "https", "[::1]", "8443"),
    ("[::1]", "https", "[::1]", "443"),
])
def test_the_server_is_what_the_host_field_says(host, scheme, name, port):
    environ, _, _ = read(head(host=host, peer="%s 127.0.0.1 5 9999 -" % scheme))
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == (name, port)


def test_what_is_remembered_of_a_head_changes_nothing():
    heads = Heads({"SCRIPT_NAME": ""})
    for data in [GOOD, head(), head(host=""), GOOD, head(peer="http ::1 1 80 -"), head(), GOOD] * 2:
        for spelled in (data, data.replace(b"X-Request-Id", b"x-request-id")):
            found = outcome(heads, spelled[:-4])
            assert found == read(spelled)
            found[0].clear()  # an environ is the app's


def test_an_odd_head_is_refused_each_time_and_spoils_nothing():
    heads = Heads({"SCRIPT_NAME": ""})
    for data in BAD + [each.replace(PEER, PEER + b"X-Request-Id: 1\r\nHost: a\r\n", 1)
                       for each in BAD] * 2:
        assert isinstance(outcome(heads, data[:-4]), str), data
        assert outcome(heads, GOOD[:-4]) == read(GOOD)


def test_an_id_that_stands_twice_is_refused():
    for name in ("x-request-id", "X-Request-Id"):
        with pytest.raises(Refused):
            read(head(fields=[(name, "1")]))


def test_what_is_remembered_is_bounded():
    heads = Heads({"SCRIPT_NAME": ""})
    for number in range(3 * RAW_MAX):
        data = head(target="/%d" % number, fields=[("cookie", str(number))],
                    peer="http 127.0.0.1 %d 80 -" % number)
        assert outcome(heads, data[:-4]) == read(data)
    long = head(target="/" + "a" * RAW_BYTES_MAX, fields=[("cookie", "a" * RAW_BYTES_MAX)])
    assert outcome(heads, long[:-4]) == read(long)
    for memory in (heads._tails, proxyapp.head._lines, proxyapp.head._peers):
        assert 0 < len(memory) <= RAW_MAX
        assert max(map(len, memory)) <= RAW_BYTES_MAX


@pytest.mark.parametrize("peer, prefix, protocol", [
    ("-", "", None), ("/pre%20fix", "/pre fix", None),
    ("- HTTP/1.0", "", "HTTP/1.0"), ("/pre%20fix HTTP/1.0", "/pre fix", "HTTP/1.0")])
def test_the_protocol_is_the_clients_where_it_is_another(peer, prefix, protocol):
    environ, _, _ = read(head(peer="http 127.0.0.1 5 8080 " + peer))
    assert (environ["SCRIPT_NAME"], environ.get("SERVER_PROTOCOL")) == (prefix, protocol)


@pytest.mark.parametrize("peer", ["- ", "- HTTP/1.1 x", "- HTTP/3", "-  HTTP/1.0", "/a b"])
def test_no_other_protocol_is_believed(peer):
    with pytest.raises(Refused):
        read(head(peer="http 127.0.0.1 5 8080 " + peer))


def test_without_a_host_field_the_port_is_the_listeners():
    environ, _, _ = read(b"GET / HTTP/1.1\r\nproxy-peer: 0 http 127.0.0.1 5 8080 -\r\n\r\n")
    assert environ["SERVER_PORT"] == "8080"


@pytest.mark.parametrize("target, path, rest", [
    ("/", "/", ""), ("/?", "/", ""), ("/a?b?c", "/a", "b?c"), ("/%e2%82%ac", "/\xe2\x82\xac", ""),
    ("/%zz%", "/%zz%", ""), ("/a%2fb", "/a/b", ""), ("*", "*", ""), ("//a", "//a", "")])
def test_the_path_is_decoded_to_latin_1(target, path, rest):
    environ, _, _ = read(head("OPTIONS", target))
    assert (environ["PATH_INFO"], environ["QUERY_STRING"]) == (path, rest)


@pytest.mark.parametrize("name", ["X_Secret", "x_request_id", "Content_Length", "Proxy", "proxy"])
def test_names_that_could_be_mistaken_do_not_reach_the_app(name):
    before, _, _ = read(head())
    after, _, _ = read(head(fields=[(name, "evil")]))
    assert after == before


def test_a_chunked_body_has_no_length():
    assert read(head("POST", fields=[("Transfer-Encoding", "Chunked")]))[2] == -1


LINE = b"GET / HTTP/1.1\r\n"
PEER = b"proxy-peer: 0 https 127.0.0.1 5 8443 -\r\n"
BAD = [
    b"\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/1.0\r\n" + PEER + b"\r\n",
    b"GET / HTTP/2.0\r\n" + PEER + b"\r\n", b"GET  / HTTP/1.1\r\n" + PEER + b"\r\n",
    b"GET / HTTP/1.1 \r\n" + PEER + b"\r\n", b"G(T / HTTP/1.1\r\n" + PEER + b"\r\n",
    b" / HTTP/1.1\r\n" + PEER + b"\r\n", b"GET a HTTP/1.1\r\n" + PEER + b"\r\n",
    b"GET http://a/ HTTP/1.1\r\n" + PEER + b"\r\n", b"GET ? HTTP/1.1\r\n" + PEER + b"\r\n",
    LINE + b"\r\n", LINE + b"host: a\r\n" + PEER + b"\r\n", LINE + PEER + PEER + b"\r\n",
    LINE + PEER.replace(b"0 ", b"64 ") + b"\r\n", LINE + PEER.replace(b"0 ", b"-1 ") + b"\r\n",
    LINE + PEER.replace(b"https", b"ftp") + b"\r\n", LINE + PEER.replace(b" -", b"") + b"\r\n",
    LINE + PEER.replace(b" -", b" - -") + b"\r\n", LINE + PEER + b"host: a\r\nHost: a\r\n\r\n",
    LINE + PEER + b"novalue\r\n\r\n", LINE + PEER + b": empty\r\n\r\n",
    LINE + PEER + b"a b: c\r\n\r\n", LINE + PEER + b"a : c\r\n\r\n", LINE + PEER + b" a: b\r\n\r\n",
    LINE + PEER + b"a: b\r\n folded\r\n\r\n", LINE + PEER + b"a: b\nc: d\r\n\r\n",
    LINE + PEER + b"a: b\rc\r\n\r\n", LINE + PEER + b"a: b\r\r\n\r\n",
    LINE + PEER + b"a: \0\r\n\r\n",
    LINE + PEER + b"a: \x7f\r\n\r\n", LINE + PEER + b"\xe4: b\r\n\r\n",
    LINE + PEER + b"content-length: +1\r\n\r\n", LINE + PEER + b"content-length: -1\r\n\r\n",
    LINE + PEER + b"content-length: \r\n\r\n", LINE + PEER + b"content-length: 1, 1\r\n\r\n",
    LINE + PEER + b"content-length: \xb2\r\n\r\n", LINE + PEER + b"content-length: 0x1\r\n\r\n",
    LINE + PEER + b"content-length: 1\r\ncontent-length: 1\r\n\r\n",
    LINE + PEER + b"content-length: 9999999999999999999\r\n\r\n",
    LINE + PEER + b"content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
    LINE + PEER + b"transfer-encoding: gzip, chunked\r\n\r\n",
    LINE + PEER + b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n",
    LINE + PEER + b"transfer-encoding: \r\n\r\n",
]


@pytest.mark.parametrize("data", BAD)
def test_an_odd_head_is_refused(data):
    with pytest.raises(Refused):
        read(data)


def test_odd_heads_get_400_and_nothing_behind_them_is_read(worker):
    for data in BAD:
        edge = worker.connect()
        edge.send(data + head())
        answer = edge.read()
        assert (answer.status, answer.field("connection")) == (400, "close"), data
        assert edge.is_closed()
        edge.close()
    assert worker.get().text == "hello"
    worker.expect_busy([])


def test_a_head_that_never_ends_is_refused(worker):
    edge = worker.connect()
    try:
        edge.send(head()[:-2] + b"a: " + b"b" * ((1 << 20) + 70000))
    except (BrokenPipeError, ConnectionResetError):
        pass  # it was refused before all of it was sent; the answer is there
    assert edge.read().status == 400 and edge.is_closed()
    edge.close()


def test_a_head_cut_at_every_byte_is_one_request(worker):
    request = head("POST", "/upload", [("content-length", "5")]) + b"12345"
    edge = worker.connect()
    for cut in range(1, len(request)):
        edge.send(request[:cut])
        if cut < len(request) - 5:
            worker.get()  # the worker turns to others while the head is not whole
        edge.send(request[cut:])
        assert edge.read().text.startswith("5 ")
    edge.close()


def test_a_connection_that_ends_at_any_byte_harms_nobody(worker):
    request = head("POST", "/upload", [("content-length", "5")]) + b"12345"
    for cut in range(len(request)):
        edge = worker.connect()
        edge.send(request[:cut])
        edge.close()
    assert worker.get().text == "hello"
    worker.expect_busy([])
    assert "Traceback" not in worker.read_output()


def test_byte_by_byte_is_one_request(worker):
    edge = worker.connect()
    for byte in head("POST", "/upload", [("content-length", "2")]) + b"12":
        edge.send(bytes([byte]))
    assert edge.read().text.startswith("2 ")
    edge.close()


def test_several_requests_in_one_piece_are_answered_in_order(worker):
    edge = worker.connect()
    edge.send(head() + head("POST", "/upload", [("content-length", "3")]) + b"abc"
              + head(target="/nothing"))
    assert [edge.read().body[:5] for _ in range(3)] == [b"hello", b"3 ba7", b""]
    edge.close()


def test_mutated_heads_never_break_the_parser():
    """Seeded: a changed head is refused or read, and nothing else; what is read keeps its rules."""
    chance = random.Random(7)
    remembering = Heads({"SCRIPT_NAME": ""})
    for _ in range(20000):
        data = bytearray(GOOD[:-4])
        for _ in range(chance.randint(1, 4)):
            place = chance.randrange(len(data))
            kind = chance.randrange(3)
            if kind == 0:
                data[place] = chance.randrange(256)
            elif kind == 1:
                del data[place:place + chance.randint(1, 9)]
            else:
                data[place:place] = chance.choice(
                    [b"\r\n", b"\n", b"\r", b"\0", b": ", b" ", b"\t", b"proxy-peer: ", b"1"])
        found = outcome(Heads({"SCRIPT_NAME": ""}), bytes(data))
        assert outcome(remembering, bytes(data)) == found, data
        if isinstance(found, str):
            continue
        environ, place, length = found
        assert 0 <= place < 64 and length >= -1
        for key, value in environ.items():
            assert "_" in key or key.startswith("wsgi."), key
            assert isinstance(value, str)
            if key.startswith("HTTP_"):
                assert not set(value) & set("\r\n\0"), data


def test_mutated_requests_never_end_a_worker(worker):
    chance = random.Random(11)
    request = head("POST", "/upload", [("content-length", "5")]) + b"12345"
    for _ in range(400):
        data = bytearray(request)
        data[chance.randrange(len(data))] = chance.randrange(256)
        edge = worker.connect()
        edge.send(bytes(data))
        edge.socket.shutdown(1)
        try:
            edge.read()
        except (Gone, ConnectionResetError):
            pass
        edge.close()
    assert worker.get().text == "hello"
