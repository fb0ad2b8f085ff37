"""Request bodies: every length and coding, slow ones, cut ones, and those nobody reads."""

import hashlib
import os
import random

import pytest

from master import Gone, head


def chunked(*pieces, trailer=b"", extension=b""):
    framed = b"".join(b"%x%b\r\n%b\r\n" % (len(each), extension, each) for each in pieces)
    return framed + b"0\r\n" + trailer + b"\r\n"


def post(edge, target, body, coding=False):
    field = ("transfer-encoding", "chunked") if coding else ("content-length", str(len(body)))
    edge.send(head("POST", target, [field]) + body)
    return edge.read()


@pytest.mark.parametrize("size", [0, 1, 50000, 65536, 200000, 10_000_000])
def test_uploads_of_each_size(worker, size):
    data = os.urandom(size)
    edge = worker.connect()
    for _ in range(2):
        answer = edge.get("/upload", "POST", data)
        assert answer.text == "%d %s" % (size, hashlib.sha256(data).hexdigest())
    edge.close()


@pytest.mark.parametrize("pieces", [1, 3, 1000])
def test_chunked_uploads(worker, pieces):
    parts = [os.urandom(300) for _ in range(pieces)]
    whole = b"".join(parts)
    edge = worker.connect()
    framed = chunked(*parts, trailer=b"x-sum: 1\r\n", extension=b" ;a=\"b\"")
    for _ in range(2):
        answer = post(edge, "/upload", framed, coding=True)
        assert answer.text == "%d %s" % (len(whole), hashlib.sha256(whole).hexdigest())
    edge.close()


def test_a_chunked_body_cut_at_every_byte_is_the_same_body(worker):
    framed = chunked(b"hello", b"x" * 17, trailer=b"a: b\r\n")
    edge = worker.connect()
    for cut in range(len(framed)):
        edge.send(head("POST", "/upload", [("transfer-encoding", "chunked")]) + framed[:cut])
        edge.send(framed[cut:])
        assert edge.read().text.startswith("22 ")
    assert edge.get().text == "hello"
    edge.close()


@pytest.mark.parametrize("framed", [
    b"\r\n", b"x\r\n", b"-1\r\n", b"+1\r\na\r\n0\r\n\r\n", b"0x1\r\na\r\n0\r\n\r\n",
    b" 1\r\na\r\n0\r\n\r\n", b"1_0\r\n", b"1\na\r\n0\r\n\r\n", b"1\r\nab\r\n0\r\n\r\n",
    b"1\r\na0\r\n\r\n", b"1\r\na\n0\r\n\r\n", b"1;\ra\r\na\r\n0\r\n\r\n", b"1;a" + b"b" * 80000,
    b"ffffffffffffffff\r\n", b"0\r\n" + b"a: b\r\n" * 20000 + b"\r\n", b"1;\0\r\na\r\n0\r\n\r\n"],
    ids=lambda framed: repr(framed[:20]))
def test_bad_chunks_end_the_connection(worker, framed):
    edge = worker.connect()
    try:
        edge.send(head("POST", "/upload", [("transfer-encoding", "chunked")]) + framed + head())
        edge.read()
        raise AssertionError("there was an answer")
    except (Gone, ConnectionResetError, BrokenPipeError):
        pass
    edge.close()
    assert worker.get().text == "hello"
    worker.expect_busy([])


def test_mutated_chunks_never_end_a_worker(worker):
    chance = random.Random(3)
    framed = chunked(b"hello", b"world" * 10, trailer=b"a: b\r\n")
    for _ in range(300):
        data = bytearray(framed)
        data[chance.randrange(len(data))] = chance.randrange(256)
        edge = worker.connect()
        edge.send(head("POST", "/upload", [("transfer-encoding", "chunked")]) + data)
        edge.socket.shutdown(1)
        try:
            assert edge.read().status == 200
        except (Gone, ConnectionResetError):
            pass
        edge.close()
    assert worker.get().text == "hello"


@pytest.mark.parametrize("coding", [False, True])
def test_a_body_that_breaks_off_gets_no_answer(worker, coding):
    body = chunked(b"12345") if coding else b"12345"
    fields = [("transfer-encoding", "chunked") if coding else ("content-length", "5")]
    for cut in range(len(body)):
        edge = worker.connect()
        edge.send(head("POST", "/upload", fields) + body[:cut])
        edge.socket.shutdown(1)
        with pytest.raises((Gone, ConnectionResetError)):
            edge.read()
        edge.close()
    assert worker.get().text == "hello"
    assert "Traceback" not in worker.read_output()


def test_lines_and_iteration(worker):
    data = b"one\ntwo\nthree\nfour"
    expected = [b"one\n", b"two", [b"\n", b"three\n", b"four"], b"", b""]
    edge = worker.connect()
    assert edge.get("/lines", "POST", data).text == repr(expected)
    assert post(edge, "/lines", chunked(data[:5], data[5:]), True).text == repr(expected)
    assert edge.get("/iterate", "POST", data).text == repr(data.splitlines(True))
    big = b"line\n" * 40000
    assert edge.get("/iterate", "POST", big).text == repr(big.splitlines(True))
    edge.close()


@pytest.mark.parametrize("size, reads", [(10, 3), (200000, 0), (200000, 5), (3000000, 100000)])
def test_what_the_app_leaves_unread_is_not_the_next_request(worker, size, reads):
    body = (head(target="/nothing") * (size // 100 + 1))[:size]
    edge = worker.connect()
    edge.send(head("POST", "/read-some?bytes=%d" % reads, [("content-length", str(size))]))
    edge.send(body + head())
    assert edge.read().text == str(reads)
    assert edge.read().text == "hello"
    edge.close()


def test_an_early_answer_holds_nobody_while_the_body_still_comes(worker):
    edge = worker.connect()
    edge.send(head("POST", "/hello", [("content-length", "10")]) + b"12345")
    assert edge.read().text == "hello"
    assert worker.get().text == "hello"
    edge.send(b"67890" + head(target="/several"))
    assert edge.read().text == "one two three"
    edge.close()


def test_a_chunked_body_left_unread_ends_the_connection(worker):
    edge = worker.connect()
    edge.send(head("POST", "/hello", [("transfer-encoding", "chunked")]) + b"5\r\nhello\r\n")
    assert edge.read().text == "hello"
    assert edge.is_closed()
    edge.close()


def test_a_slow_body_comes_whole(start):
    zygote = start("pages:app", threads=2)
    zygote.imported()
    worker = zygote.fork()
    edge = worker.connect()
    edge.send(head("POST", "/upload", [("content-length", "50")]))
    for number in range(50):
        edge.send(b"%d" % (number % 10))
        if number % 10 == 0:
            assert worker.get(place=1).text == "hello"
    assert edge.read().text.startswith("50 ")
    edge.close()
