"""What PEP 3333 promises to apps, and what HTTP promises to the edge."""

import json
from urllib.parse import unquote

import pytest

from conftest import PYTHONS
from master import head


def exception(answer):
    """The parts of the field that the edge takes out."""
    value = answer.field("proxy-exception")
    assert len(value) <= 6144
    return [unquote(part, errors="strict") for part in value.split(";")]


def test_the_environ_is_that_of_the_real_client(worker):
    environ = json.loads(worker.get(
        "/environ?x=1", fields=[("user-agent", "test"), ("x_bad", "1"), ("proxy", "evil")],
        peer="https 192.0.2.7 4711 8443 /shop", host="shop.example").body)
    assert environ.pop("SERVER_SOFTWARE") == "proxy"
    assert environ == {
        "REQUEST_METHOD": "GET", "SCRIPT_NAME": "/shop", "PATH_INFO": "/environ",
        "QUERY_STRING": "x=1", "REQUEST_URI": "/shop/environ?x=1", "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": "shop.example", "SERVER_PORT": "443", "HTTP_HOST": "shop.example",
        "HTTP_USER_AGENT": "test", "HTTP_X_REQUEST_ID": "01JD0000000000000000000000",
        "REMOTE_ADDR": "192.0.2.7", "REMOTE_PORT": "4711", "wsgi.url_scheme": "https",
        "wsgi.version": [1, 0], "wsgi.multithread": False, "wsgi.multiprocess": True,
        "wsgi.run_once": False, "wsgi.input_terminated": True}


def test_nothing_is_left_from_the_request_before(worker):
    edge = worker.connect()
    edge.get("/environ", fields=[("x-secret", "1")], peer="http 127.0.0.1 1 80 /a")
    environ = json.loads(edge.get("/environ").body)
    assert "HTTP_X_SECRET" not in environ and environ["SCRIPT_NAME"] == ""
    edge.close()


@pytest.mark.parametrize("page, body, framing", [
    ("/hello", "hello", "content-length"), ("/several", "one two three", "content-length"),
    ("/nothing", "", "content-length"), ("/generator", "first second", "transfer-encoding"),
    ("/empty-generator", "", "content-length"), ("/closing", "ab", "transfer-encoding"),
    ("/late-start", "late", "transfer-encoding"),
    ("/write", "written twice and returned", "transfer-encoding"),
    ("/length?says=6&gives=6&kind=iterator", "xxxxxx", "content-length"),
    ("/length?says=6&gives=6&kind=lists", "xxxxxx", "content-length"),
])
def test_each_way_to_answer(worker, page, body, framing):
    edge = worker.connect()
    for _ in range(2):  # the connection carries the next one
        answer = edge.get(page)
        assert answer.text == body and answer.complete
        assert answer.field(framing) is not None
    edge.close()


def test_head_has_the_fields_of_get_and_no_body(worker):
    edge = worker.connect()
    for page in ("/hello", "/generator", "/write", "/endless", "/endless?10",
                 "/file?size=9&kind=file", "/file?size=9&kind=bytes", "/raise"):
        assert edge.get(page, "HEAD").body == b""
    assert edge.get("/hello", "HEAD").field("content-length") == "5"
    assert edge.get("/nothing", "HEAD").field("content-length") is None
    assert edge.get("/file?size=9&kind=file", "HEAD").field("content-length") == "9"
    assert edge.get("/length?says=6&gives=0&kind=list", "HEAD").field("content-length") == "6"
    assert edge.get().text == "hello"
    edge.close()


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_answers_without_a_body_have_none(worker, status):
    edge = worker.connect()
    answer = edge.get("/status?status=" + status.encode().hex())
    assert answer.status == int(status[:3])
    assert answer.field("content-length") is None and answer.field("transfer-encoding") is None
    assert edge.get().text == "hello"
    edge.close()


@pytest.mark.parametrize("status", ["200", "200 ", "299 Ünusual", "999 x"])
def test_statuses_that_are_in_order(worker, status):
    answer = worker.get("/status?status=" + status.encode("latin-1").hex())
    assert (answer.status, answer.text) == (int(status[:3]), "body")


@pytest.mark.parametrize("status", [
    "", "20", "OK", "2000", "100 Continue", "101 Switching", "000 x", "200 a\r\nx: y", "200\n",
    "\xb2\xb2\xb2 x", "200 \0"])
def test_odd_statuses_are_the_apps_fault(worker, status):
    assert worker.get("/status?status=" + status.encode("latin-1").hex()).status == 500


@pytest.mark.parametrize("name, value", [
    ("X-A", "a\r\nSet-Cookie: evil=1"), ("X-A", "a\nb"), ("X-A", "a\rb"), ("X-A", "a\0b"),
    ("X-A", "a\x7fb"), ("X-A", "a\r\n\r\n<html>"), ("X A", "b"), ("X-A:", "b"), ("", "b"),
    ("X\r\nY", "b"), ("X-\xe4", "b"), ("Content-Length", "x"), ("Content-Length", "-1"),
    ("Transfer-Encoding", "chunked"), ("Upgrade", "x"), ("Connection", "upgrade"), ("TE", "x"),
    ("Trailer", "x"), ("Proxy-Authenticate", "x")])
def test_headers_that_break_the_answer_are_refused(worker, name, value):
    edge = worker.connect()
    answer = edge.get("/header?name=%s&value=%s" % (
        name.encode("latin-1").hex(), value.encode("latin-1").hex()))
    assert answer.status == 500
    assert sorted(key for key, _ in answer.headers) == [
        "content-length", "content-type", "proxy-exception"]
    assert edge.get().text == "hello"
    edge.close()


@pytest.mark.parametrize("name, value", [
    ("Connection", "keep-alive"), ("connection", "Close"), ("Keep-Alive", "5"),
    ("Proxy-Exception", "made;up;here"), ("proxy-peer", "x")])
def test_what_is_not_the_apps_to_say_is_left_out(worker, name, value):
    answer = worker.get("/header?name=%s&value=%s" % (name.encode().hex(), value.encode().hex()))
    assert answer.status == 200 and answer.field(name.lower()) is None


def test_latin_1_passes_and_other_types_do_not(worker):
    answer = worker.get("/header?name=%s&value=%s" % (b"X-A".hex(), b"\xe4\t".hex()))
    assert answer.field("x-a") == "\xe4\t"
    answer = worker.get("/number-header")
    assert answer.status == 500 and exception(answer)[0] == "TypeError"


def test_exc_info_replaces_the_head_and_is_told(worker):
    answer = worker.get("/exc-info")
    assert (answer.status, answer.text) == (503, "replaced")
    assert exception(answer)[:2] == ["KeyError", "'replaced'"]


def test_exc_info_after_the_first_byte_cuts_the_answer(worker):
    edge = worker.connect()
    answer = edge.get("/exc-info-late")
    assert answer.body == b"too late" and not answer.complete
    edge.close()


@pytest.mark.parametrize("page, kind, message", [
    ("/raise", "RuntimeError", "it broke; ünd 100%"),
    ("/raise-after-start", "RuntimeError", "after start_response"),
    ("/two-lengths", "ValueError", "Content-Length stands twice"),
    ("/twice", "AssertionError", "start_response was called twice without exc_info"),
    ("/no-start", "AssertionError", "the app did not call start_response"),
    ("/none", "TypeError", "'NoneType' object is not iterable"),
    ("/text", "TypeError", "the app must give bytes, not str"),
    ("/text-later", "TypeError", "the app must give bytes, not str"),
    ("/exit", "SystemExit", "3"), ("/interrupt", "KeyboardInterrupt", ""),
    ("/broken-pipe", "BrokenPipeError", "of the app's own"),
    ("/nowhere", "KeyError", "'page_nowhere'"),
])
def test_an_app_that_raises_gets_500_and_the_worker_lives(worker, page, kind, message):
    edge = worker.connect()
    answer = edge.get(page)
    assert (answer.status, answer.text) == (
        500, "500 Internal Server Error\nrequest 01JD0000000000000000000000\n")
    found = exception(answer)
    assert found[:2] == [kind, message]
    assert found[2].startswith("Traceback (most recent call last):\n")
    assert "proxyapp" not in found[2] or kind in ("AssertionError", "TypeError", "ValueError")
    assert edge.get().text == "hello"
    worker.expect_busy([])
    log = worker.read_output("\n".join(found[2].splitlines()[-1:]).encode())
    assert "the app raised in GET %s (request 01JD" % page in log
    edge.close()


HOSTILE = '''
import sys, traceback

class Spoilt(Exception):
    def __str__(self):
        raise SystemExit("not even this")

def plain(environ):
    raise ValueError("plain")

def message(environ):
    raise Spoilt

def emptied(environ):
    environ.clear()
    raise ValueError("emptied")

def replaced(environ):
    environ.update(REQUEST_METHOD=7, REQUEST_URI=None, HTTP_X_REQUEST_ID=b"?")
    raise ValueError("replaced")

def wide(environ):
    raise ValueError("é" + absent)

def silent(environ):
    sys.stderr = None
    raise ValueError("silent")

def unprintable(environ):
    def format_exception(*more):
        raise SystemExit("no")
    traceback.format_exception = format_exception
    raise ValueError("unprintable")

def long(environ):
    environ.clear()
    return [b"too long"]

class Nothing:
    """Nothing can be imported any more, as for a user who may not read the interpreter's files."""
    @staticmethod
    def find_spec(name, path=None, target=None):
        raise ModuleNotFoundError("no module named %s" % name, name=name)

def app(environ, start_response):
    sys.meta_path[:] = [Nothing]
    page = globals()[environ["PATH_INFO"][1:]]
    if page is long:
        start_response("200 OK", [("Content-Length", "3")])
    return page(environ)
'''


@pytest.mark.parametrize("page, kind, message, said", [
    ("plain", "ValueError", "plain", "the app raised in GET /plain (request 01JD"),
    ("message", "Spoilt", "(its message cannot be made)", "GET /message"),
    ("emptied", "ValueError", "emptied", "the app raised in - - (request -)"),
    ("replaced", "ValueError", "replaced", "the app raised in - - (request -)"),
    ("silent", "ValueError", "silent", ""),
    ("unprintable", "ValueError", "unprintable", "ValueError (its traceback cannot be made: Sys"),
])
def test_a_worker_lives_whatever_fails_while_it_reports(start, site, page, kind, message, said):
    zygote = start("hostile:app", site(hostile=HOSTILE))
    zygote.imported()
    worker = zygote.fork()
    edge = worker.connect()
    for _ in range(2):
        answer = edge.get("/" + page)
        assert answer.status == 500
        assert exception(answer)[:2] == [kind, message]
    if said:
        assert said in worker.read_output(said.encode())
    edge.close()


@pytest.mark.parametrize("python", PYTHONS)
def test_what_a_traceback_needs_is_loaded_before_the_fork(start, site, python):
    zygote = start("hostile:app", site(hostile=HOSTILE), python=python)
    zygote.imported()
    kind, message, trace = exception(zygote.fork().get("/wide"))
    assert (kind, message) == ("NameError", "name 'absent' is not defined")
    assert 'raise ValueError("é" + absent)' in trace


def test_an_answer_that_is_too_long_is_told_of_without_an_environ(start, site):
    zygote = start("hostile:app", site(hostile=HOSTILE))
    zygote.imported()
    worker = zygote.fork()
    edge = worker.connect()
    assert [edge.get("/long").text for _ in range(2)] == ["too", "too"]
    assert "the answer to - -" in worker.read_output(b"longer than")
    edge.close()


def test_a_long_exception_keeps_the_end_of_its_traceback(worker):
    kind, message, trace = exception(worker.get("/raise-long"))
    assert kind == "RuntimeError" and set(message) == {"ü"}
    assert trace.rstrip().endswith("ü")


def test_the_query_is_not_in_the_log(worker):
    worker.get("/raise?token=secret")
    assert "secret" not in worker.read_output(b"RuntimeError: it broke")


def test_close_is_always_called(worker):
    edge = worker.connect()
    edge.get("/closing")
    edge.get("/close-raises")
    edge.get("/file?size=9&kind=file")
    edge.get("/closing", "HEAD")
    assert json.loads(edge.get("/closed").body) == ["closed", "close-raises", "file", "closed"]
    cut = edge.get("/raise-closing")
    assert cut.body == b"begun" and not cut.complete and edge.is_closed()
    assert json.loads(worker.get("/closed").body)[-1] == "raise-closing"
    log = worker.read_output(b"in the middle")
    assert "close() raised in GET /close-raises" in log and "ValueError: in close" in log
    edge.close()


def test_close_is_called_when_the_edge_has_gone(worker):
    edge = worker.connect()
    edge.send(head(target="/endless"))
    edge.socket.recv(100)
    edge.close()
    assert worker.get("/hello").text == "hello"
    assert "Traceback" not in worker.read_output()


def test_each_block_goes_out_before_the_next_is_made(worker, tmp_path):
    edge = worker.connect()
    edge.send(head(target="/step?file=%s" % (tmp_path / "go")))
    assert b"first" in edge._until(b"first\r\n") + b"first"
    worker.expect_busy([0])
    (tmp_path / "go").touch()
    assert edge._until(b"0\r\n\r\n") == b"6\r\nsecond\r\n"
    edge.close()


@pytest.mark.parametrize("kind", ["list", "lists", "iterator"])
def test_more_than_the_content_length_is_cut_and_told(worker, kind):
    edge = worker.connect()
    answer = edge.get("/length?says=4&gives=10&kind=" + kind)
    assert answer.text == "xxxx" and answer.complete
    assert edge.get().text == "hello"
    assert "was longer than its Content-Length: cut" in worker.read_output(b"longer")
    edge.close()


@pytest.mark.parametrize("kind", ["list", "lists", "iterator"])
@pytest.mark.parametrize("gives", [0, 4])
def test_less_than_the_content_length_closes_the_connection(worker, kind, gives):
    edge = worker.connect()
    answer = edge.get("/length?says=10&gives=%d&kind=%s" % (gives, kind))
    assert answer.text == "x" * gives and not answer.complete
    assert edge.is_closed()
    assert "broke off: the app gave %d bytes less" % (10 - gives) in worker.read_output(b"less")
    edge.close()


def test_an_endless_iterator_ends_with_its_content_length(worker):
    assert worker.get("/endless?10").text == "x" * 10


@pytest.mark.parametrize("kind", ["file", "named", "gzip", "bytes"])
@pytest.mark.parametrize("size, more, length", [
    (300000, "", 300000), (300000, "&skip=100000", 200000), (1000, "&says=10", 10), (0, "", 0),
    (10, "&skip=20", 0)])
def test_file_wrapper(worker, kind, size, more, length):
    answer = worker.get("/file?size=%d&kind=%s%s" % (size, kind, more))
    skip = int(more.partition("skip=")[2] or 0)
    expected = bytes(number % 251 for number in range(size))[skip:skip + length]
    assert answer.body == expected and answer.complete
    if kind in ("file", "named"):
        assert answer.field("content-length") == str(length)


def test_a_file_shorter_than_its_content_length_closes_the_connection(worker):
    answer = worker.get("/file?size=10&kind=file&says=20")
    assert len(answer.body) == 10 and not answer.complete


def test_ten_megabytes_down(worker):
    edge = worker.connect()
    for page in ("/download?10000000", "/file?size=10000000&kind=file"):
        assert len(edge.get(page).body) == 10000000
    edge.close()


def test_what_is_printed_goes_to_the_output_pipe_line_by_line(worker):
    worker.get("/print")
    log = worker.read_output(b"wsgi.errors\n")
    assert log == "printed\nto stderr\nto wsgi.errors\n"


def test_wsgiref_finds_nothing_to_complain_of(start, site):
    folder = site(checked='''
from wsgiref.validate import validator

def plain(environ, start_response):
    path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
    body = environ["wsgi.input"]
    if path == "/read":
        found = body.read(3) + body.readline() + b"".join(body.readlines()) + b"".join(body)
    elif path == "/iterate":
        found = b"".join(body)
    else:
        found = b"hello"
    environ["wsgi.errors"].write("seen\\n")
    environ["wsgi.errors"].flush()
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    if path == "/write":
        write(b"written")
    return [found]

app = validator(plain)
''')
    for threads in (1, 3):
        zygote = start("checked:app", folder, threads=threads)
        zygote.imported()
        edge = zygote.fork().connect()
        assert edge.get().text == "hello"
        assert edge.get("/a%20b?c", peer="http 127.0.0.1 1 80 /pre").text == "hello"
        for fields, framed in (([("content-length", "7")], b"ab\ncd\ne"), (
                [("transfer-encoding", "chunked")], b"4\r\nab\nc\r\n3\r\nd\ne\r\n0\r\n\r\n")):
            for page in ("/read", "/iterate"):
                edge.send(head("POST", page, fields + [("content-type", "text/plain")]) + framed)
                assert edge.read().text == "ab\ncd\ne"
        assert edge.get("/write").text == "writtenhello"
        assert edge.get("/hello", "HEAD").status == 200
        edge.close()


def test_the_package_imports_and_does_nothing_elsewhere():
    import proxyapp
    from proxyapp import signals

    assert proxyapp.__doc__ and not signals.request_started.receivers
