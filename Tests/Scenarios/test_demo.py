"""Contract section 3: every route of the demo app, through the proxy."""

import base64
import hashlib
import os
import struct

import pytest

from harness import chunked, request
from harness.wire import until

DEMO = "services: { demo: { demo: true, workers: 2 } }"


@pytest.fixture(scope="module")
def proxy(start_shared_proxy):
    return start_shared_proxy(DEMO)


def test_the_first_page_is_html_for_a_browser_and_json_for_others(proxy):
    page = proxy.get("/", accept="text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")
    assert page.status == 200 and page.get("content-type").startswith("text/html")
    assert b"<html" in page.body.lower()
    assert proxy.get("/").json["service"] == "demo"


def test_worker_tells_who_answered(proxy):
    with proxy.client() as client:
        answer = client.exchange(request("/worker"))
        told = answer.json
        assert answer.get("content-type").startswith("application/json")
        assert list(told) == ["service", "worker", "pid", "count", "scheme", "remote", "id"]
        assert (told["service"], told["scheme"], told["remote"]) == ("demo", "http", "127.0.0.1")
        assert told["worker"] in (1, 2)
        assert told["id"] == answer.get("x-request-id")
    assert {(worker["worker"], worker["pid"]) for worker in proxy.endpoints("demo")} >= {(told["worker"], told["pid"])}


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"])
def test_any_method_is_answered(proxy, method):
    assert proxy.get("/worker", method=method).status == 200


def test_the_count_is_each_workers_own(start_proxy):
    proxy = start_proxy(DEMO)
    counts = {}
    for _ in range(10):
        told = proxy.get("/worker").json
        counts.setdefault(told["worker"], []).append(told["count"])
    assert sorted(counts) == [1, 2]
    for seen in counts.values():
        assert seen == list(range(seen[0], seen[0] + len(seen)))


@pytest.mark.parametrize("seconds", ["0", "0.01", "0.2"])
def test_sleep(proxy, seconds):
    told = proxy.get(f"/sleep?seconds={seconds}").json
    assert told["slept"] == float(seconds) and told["service"] == "demo"


@pytest.mark.parametrize("target", ["/sleep?seconds=61", "/sleep?seconds=-1", "/sleep?seconds=x", "/sleep?seconds=nan"])
def test_a_bad_parameter(proxy, target):
    answer = proxy.get(target)
    assert (answer.status, answer.json) == (400, {"error": "seconds: from 0 to 60"})


def test_echo(proxy):
    with proxy.client() as client:
        told = client.exchange(request("/echo?a=b%20c", "POST", body=b"hello", x_field="value")).json
    assert (told["method"], told["target"], told["bytes"]) == ("POST", "/echo?a=b%20c", 5)
    assert told["sha256"] == hashlib.sha256(b"hello").hexdigest()
    headers = [(name.lower(), value) for name, value in told["headers"]]
    assert ("host", "example.test") in headers and ("x-field", "value") in headers
    assert not any(name == "proxy-peer" for name, _ in headers)


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_upload(proxy, framing):
    body = os.urandom(300_000)
    data = request("/upload", "POST", body=body) if framing == "length" else \
        request("/upload", "POST", transfer_encoding="chunked") + chunked(body[:100], body[100:])
    with proxy.client() as client:
        assert client.exchange(data).json == {"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}


@pytest.mark.parametrize("size", [0, 1, 251, 10_000, 3_000_000])
def test_bytes(proxy, size):
    answer = proxy.get(f"/bytes?size={size}")
    assert answer.get("content-length") == str(size)
    assert answer.body == bytes(number % 251 for number in range(size))


@pytest.mark.parametrize("target", ["/bytes?size=-1", "/bytes?size=1073741825", "/bytes?size=x"])
def test_a_size_that_may_not_be(proxy, target):
    answer = proxy.get(target)
    assert answer.status == 400 and answer.json["error"].startswith("size: ")


def test_head_has_no_body(proxy):
    with proxy.client() as client:
        answer = client.exchange(request("/bytes?size=1000", "HEAD"))
        assert (answer.status, answer.get("content-length")) == (200, "1000")
        assert client.exchange(request("/worker")).status == 200


def test_stream(proxy):
    answer = proxy.get("/stream?count=3&seconds=0.01")
    assert answer.framing == "chunked"
    assert answer.body == b"chunk 1\nchunk 2\nchunk 3\n"
    assert answer.trailers == [("X-Count", "3")]


def test_events(proxy):
    with proxy.client() as client:
        client.send(request("/events?count=2&seconds=0.01"))
        answer = client.response()
    assert answer.get("content-type").startswith("text/event-stream")
    assert answer.body.count(b"\n\n") == 2 and answer.body.startswith(b"data:") or b"\ndata:" in answer.body


def test_an_event_reaches_the_client_before_the_stream_ends(proxy):
    with proxy.client() as client:
        client.send(request("/events?count=2&seconds=3"))
        head = client.read_head()
        assert head.status == 200
        client.read_until(b"\n\n")


def frame(data, opcode=1):
    mask = b"\1\2\3\4"
    masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))
    length = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + struct.pack(">H", len(data))
    return bytes([0x80 | opcode]) + length + mask + masked


def test_a_websocket_echoes(proxy):
    key = base64.b64encode(b"0123456789abcdef").decode()
    with proxy.client() as client:
        answer = client.exchange(request(
            "/ws", upgrade="websocket", connection="Upgrade", sec_websocket_key=key, sec_websocket_version=13))
        assert answer.status == 101
        expected = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest())
        assert answer.get("sec-websocket-accept") == expected.decode()
        client.send(frame(b"hello"))
        assert client.read(7) == b"\x81\x05hello"
        client.send(frame(b"x" * 300, opcode=2))
        assert client.read(304) == b"\x82\x7e\x01\x2c" + b"x" * 300
        client.send(frame(b"ping", opcode=9))
        assert client.read(6) == b"\x8a\x04ping"
        client.send(frame(struct.pack(">H", 1000), opcode=8))
        assert client.read_to_end()[:1] == b"\x88"


def test_early_hints_come_first(proxy):
    with proxy.client() as client:
        interim = []
        assert client.exchange(request("/early"), interim=interim).status == 200
        assert [head.status for head in interim] == [103]


@pytest.mark.parametrize("code", [200, 201, 204, 304, 404, 418, 500, 503])
def test_status(proxy, code):
    with proxy.client() as client:
        assert client.exchange(request(f"/status/{code}")).status == code
        assert client.exchange(request("/worker")).status == 200


@pytest.mark.parametrize("target", ["/status/99", "/status/1000", "/status/x", "/status/101"])
def test_a_code_that_may_not_be(proxy, target):
    assert proxy.get(target).status == 400


def test_an_exception_is_the_apps_500(proxy):
    answer = proxy.get("/exception")
    assert answer.status == 500
    assert answer.get("proxy-exception") is None and answer.get("proxy-status") is None
    assert proxy.access(1, target="/exception")[0]["error"] is None


@pytest.mark.parametrize("target", ["/exit?code=3", "/kill"])
def test_a_worker_that_ends_before_answering_is_replaced(start_proxy, target):
    proxy = start_proxy(DEMO)
    before = {worker["pid"] for worker in proxy.endpoints("demo")}
    with proxy.client() as client:
        answer = client.exchange(request(target, "POST"))
        assert (answer.status, answer.error) == (502, "connection_terminated")
    line = proxy.access(1)[0]
    assert line["outcome"] == "worker_died"

    def whole():
        now = proxy.endpoints("demo")
        return {worker["pid"] for worker in now} != before and all(worker["state"] == "ready" for worker in now)
    until(whole, "the new worker")
    assert sum(worker["restarts"] for worker in proxy.endpoints("demo")) == 1
    assert {proxy.get("/worker").json["worker"] for _ in range(4)} == {1, 2}


def test_an_answer_that_is_cut(proxy):
    with proxy.client() as client:
        client.send(request("/cut?after=10"))
        head = client.read_head()
        assert (head.status, head.get("content-length")) == (200, "100")
        answer = client.read_body(head)
        assert (len(answer.body), answer.complete) == (10, False)
    line = proxy.access(1, target="/cut?after=10")[0]
    # The worker's process lives, and is not to blame for what its app does.
    assert (line["error"], line["outcome"]) == ("http_response_incomplete", "upstream_failed")


def test_an_app_that_breaks_off_takes_no_worker_out(start_proxy):
    proxy = start_proxy(DEMO)
    for _ in range(20):
        with proxy.client() as client:
            client.send(request("/cut?after=10"))
            client.read_body(client.read_head())
    assert {worker["state"] for worker in proxy.endpoints("demo")} == {"ready"}
    assert {line["outcome"] for line in proxy.access(20)} == {"upstream_failed"}
    assert not proxy.events("upstream_down")


def test_no_such_page(proxy):
    answer = proxy.get("/nothing")
    assert answer.status == 404
    assert answer.json["error"] == "no such page"
    assert "/worker" in answer.json["pages"]
