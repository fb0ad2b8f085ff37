"""Part 8 and contract section 8: Python apps, real ones among them, and programs that speak HTTP themselves."""

import json
import os
import signal
import sys
import textwrap

import pytest

from harness import Load, chunked, processes, request, run_proxy
from harness.proxy_process import TREE
from harness.wire import Closed, until


def others_can_read(path):
    return all(parent.stat().st_mode & 0o001 for parent in [path, *path.parents])


@pytest.fixture
def app(start_proxy, folder):
    """Writes an app's file and serves it: `app(source, keys, top)`."""
    place = folder / "app"
    place.mkdir()

    def start(source, keys="", top="", attribute="app", **options):
        (place / "hello.py").write_text(textwrap.dedent(source))
        # The interpreter of this project may lie where only its owner can go.
        user = "" if os.getuid() or others_can_read(TREE) else "user: root\n"
        return start_proxy(
            f"{user}{top}\nservices:\n  web: {{ app: 'hello:{attribute}', dir: {place}, python: {sys.prefix}{keys} }}\n", **options)
    start.place = place
    return start


HELLO = """
    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"hello"]
"""


def test_hello(app):
    proxy = app(HELLO, ", workers: 2")
    until(lambda: all(worker["state"] == "ready" for worker in proxy.endpoints("web")), "both workers")
    with proxy.client() as client:
        for _ in range(10):
            assert client.exchange(request()).text == "hello"
    assert [worker["requests"] for worker in proxy.endpoints("web")] == [5, 5]


ENVIRON = """
    import json, os
    def app(environ, start_response):
        shown = {key: value for key, value in environ.items() if isinstance(value, (str, int, bool, tuple))}
        shown["pid"] = os.getpid()
        shown["uid"] = os.getuid()
        shown["body"] = environ["wsgi.input"].read().decode("latin-1")
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(shown).encode()]
"""


def test_what_an_app_sees(app):
    proxy = app(ENVIRON, ", workers: 1")
    with proxy.client() as client:
        answer = client.exchange(request(
            "/a%20b/%C3%A9?q=%20", "POST", body=b"hello", host="example.test:8080", content_type="text/plain", x_field="1",
            x_forwarded_for="6.6.6.6", x_forwarded_proto="https", cookie="a=b"))
        port = client.port
    seen = answer.json
    assert seen["REQUEST_METHOD"] == "POST"
    assert seen["PATH_INFO"] == "/a b/é".encode().decode("latin-1")
    assert (seen["SCRIPT_NAME"], seen["QUERY_STRING"]) == ("", "q=%20")
    assert (seen["SERVER_NAME"], seen["SERVER_PORT"], seen["HTTP_HOST"]) == ("example.test", "8080", "example.test:8080")
    assert (seen["REMOTE_ADDR"], seen["REMOTE_PORT"]) == ("127.0.0.1", str(port))
    assert (seen["wsgi.url_scheme"], seen["SERVER_PROTOCOL"]) == ("http", "HTTP/1.1")
    assert (seen["CONTENT_TYPE"], seen["CONTENT_LENGTH"], seen["body"]) == ("text/plain", "5", "hello")
    assert seen["HTTP_X_REQUEST_ID"] == answer.get("x-request-id")
    assert (seen["HTTP_X_FIELD"], seen["HTTP_COOKIE"]) == ("1", "a=b")
    assert "HTTP_CONTENT_LENGTH" not in seen and "HTTP_CONTENT_TYPE" not in seen and "HTTP_PROXY_PEER" not in seen
    assert seen["wsgi.multiprocess"] in (True, False) and seen["wsgi.multithread"] is False


def test_the_scheme_of_a_tls_client(app, authority):
    certificate, key = authority.certificate("localhost")
    proxy = app(ENVIRON, ", workers: 1", top=(
        'listen: ["https://127.0.0.1:0"]\n'
        f"tls: {{ certificates: [{{ certificate: {certificate}, key: {key} }}] }}"))
    with proxy.client(tls=authority.client_context()) as client:
        seen = client.exchange(request(host="localhost")).json
    assert (seen["wsgi.url_scheme"], seen["SERVER_NAME"], seen["SERVER_PORT"]) == ("https", "localhost", "443")


def test_a_stripped_prefix_is_the_script_name(app):
    proxy = app(ENVIRON, ", workers: 1", top="routes: [{ path: /shop/, strip: /shop, to: web }]")
    seen = proxy.get("/shop/cart?a=b").json
    assert (seen["SCRIPT_NAME"], seen["PATH_INFO"], seen["QUERY_STRING"]) == ("/shop", "/cart", "a=b")
    seen = proxy.get("/shop").json
    assert (seen["SCRIPT_NAME"], seen["PATH_INFO"]) in (("/shop", ""), ("/shop", "/"))


def test_the_protocol_is_that_of_the_client(app):
    proxy = app(ENVIRON, ", workers: 1", top="routes: [{ path: /shop/, strip: /shop, to: web }, { to: web }]")
    for target, script in (("/", ""), ("/shop/cart", "/shop")):
        for version in ("1.0", "1.1"):
            with proxy.client() as client:
                seen = client.exchange(request(target, version=version)).json
            assert (seen["SERVER_PROTOCOL"], seen["SCRIPT_NAME"]) == (f"HTTP/{version}", script)


def test_names_with_underscores_never_reach_the_app(app):
    proxy = app(ENVIRON, ", workers: 1")
    with proxy.client() as client:
        seen = client.exchange(b"GET / HTTP/1.1\r\nHost: a\r\nX_Forwarded_For: 6.6.6.6\r\nX_Field: evil\r\nX-Field: good\r\n\r\n").json
    assert seen["HTTP_X_FIELD"] == "good"
    assert "6.6.6.6" not in json.dumps(seen)


VALIDATED = """
    from wsgiref.validate import validator
    def inner(environ, start_response):
        data = environ["wsgi.input"].read(1000000)
        lines = [environ["REQUEST_METHOD"].encode(), str(len(data)).encode()]
        start_response("200 OK", [("Content-Type", "text/plain")])
        return lines if environ["REQUEST_METHOD"] != "HEAD" else []
    app = validator(inner)
"""


def test_the_interface_is_valid(app):
    proxy = app(VALIDATED, ", workers: 1")
    with proxy.client() as client:
        assert client.exchange(request()).text == "GET0"
        assert client.exchange(request("/", "POST", body=b"x" * 1000)).text == "POST1000"
        assert client.exchange(request("/", "POST", transfer_encoding="chunked") + chunked(b"abc", b"de")).text == "POST5"
        assert client.exchange(request("/", "HEAD")).status == 200
        assert client.exchange(request("/a?b=c", "PUT", body=b"")).text == "PUT0"


ODD = """
    import time
    class Closing:
        closed = 0
        def __init__(self, parts):
            self.parts = parts
        def __iter__(self):
            return iter(self.parts)
        def close(self):
            Closing.closed += 1
    def app(environ, start_response):
        path = environ["PATH_INFO"]
        if path == "/raises":
            raise ValueError("the app's own words")
        if path == "/raises-late":
            start_response("200 OK", [])
            def late():
                yield b"first"
                raise ValueError("late")
            return late()
        if path == "/write":
            write = start_response("200 OK", [])
            write(b"written ")
            return [b"and returned"]
        if path == "/exc-info":
            import sys
            start_response("200 OK", [])
            try:
                raise KeyError("x")
            except KeyError:
                start_response("500 Oops", [("X-Changed", "yes")], sys.exc_info())
            return [b"changed"]
        if path == "/inject":
            start_response("200 OK", [("X-Bad", "a\\r\\nX-Injected: yes")])
            return [b"never"]
        if path == "/closing":
            start_response("200 OK", [])
            return Closing([b"a", b"", b"b"])
        if path == "/closed":
            start_response("200 OK", [])
            return [str(Closing.closed).encode()]
        if path == "/file":
            start_response("200 OK", [])
            return environ["wsgi.file_wrapper"](open(__file__, "rb"))
        if path == "/slow":
            time.sleep(float(environ["QUERY_STRING"]))
        if path == "/length":
            start_response("200 OK", [("Content-Length", "5")])
            return [b"hello, too much"]
        if path == "/short":
            start_response("200 OK", [("Content-Length", "50")])
            return [b"hello"]
        if path == "/events":
            start_response("200 OK", [("Content-Type", "text/event-stream")])
            def events():
                yield b"data: 1\\n\\n"
                time.sleep(2)
                yield b"data: 2\\n\\n"
            return events()
        if path == "/print":
            print("printed by the app")
        start_response("200 OK", [])
        return [b"ok"]
"""


def test_what_apps_do(app):
    proxy = app(ODD, ", workers: 1")
    with proxy.client() as client:
        assert client.exchange(request("/write")).text == "written and returned"
        answer = client.exchange(request("/exc-info"))
        assert (answer.start, answer.get("x-changed"), answer.text) == ("HTTP/1.1 500 Oops", "yes", "changed")
        assert client.exchange(request("/closing")).text == "ab"
        assert client.exchange(request("/closing", "HEAD")).status == 200
        assert client.exchange(request("/closed")).text == "2"
        assert client.exchange(request("/file")).body == (app.place / "hello.py").read_bytes()
        assert client.exchange(request("/print")).text == "ok"
        injected = client.exchange(request("/inject"))
        assert injected.status == 500 and injected.get("x-injected") is None
    until(lambda: "printed by the app" in proxy.errors, "its print")
    assert "web/1" in next(line for line in proxy.lines if line and "printed by the app" in line)


def test_an_exception_is_a_500_and_a_signal(app, folder):
    path = folder / "told.jsonl"
    path.touch()
    path.chmod(0o666)
    proxy = app(ODD, ", workers: 1", top=(
        f"plugins: [{{ name: tap, command: [sh, -c, 'exec cat >> {path}'], events: [request_exception] }}]"))
    answer = proxy.get("/raises")
    assert answer.status == 500
    assert answer.get("proxy-exception") is None and "own words" not in answer.text

    def told():
        return [json.loads(line) for line in path.read_text().splitlines() if "request_exception" in line]
    line = until(told, "the signal")[0]
    assert (line["data"]["origin"], line["data"]["type"], line["data"]["message"]) == ("app", "ValueError", "the app's own words")
    assert "hello.py" in line["data"]["traceback"]
    assert line["id"] == answer.get("x-request-id")
    assert proxy.get("/").text == "ok"


@pytest.mark.parametrize("path", ["/raises-late", "/short"])
def test_an_answer_that_breaks_off_is_seen_as_broken(app, path):
    proxy = app(ODD, ", workers: 1")
    with proxy.client() as client:
        client.send(request(path))
        answer = client.read_body(client.read_head(), until_end=True)
        assert not answer.complete
    assert proxy.get("/").text == "ok"


def test_a_page_that_breaks_off_takes_no_worker_out(app):
    proxy = app(ODD, ", workers: 3")
    for _ in range(40):
        with proxy.client() as client:
            client.send(request("/raises-late"))
            client.read_to_end()
    lines = proxy.access(40)
    assert {(line["status"], line["error"], line["outcome"]) for line in lines} == {(200, "http_response_incomplete", "upstream_failed")}
    assert {line["worker"] for line in lines} == {1, 2, 3}
    assert {worker["state"] for worker in proxy.endpoints("web")} == {"ready"} and not proxy.events("upstream_down")


def test_an_answer_longer_than_it_said_is_cut(app):
    proxy = app(ODD, ", workers: 1")
    with proxy.client() as client:
        assert client.exchange(request("/length")).text == "hello"
        try:
            assert client.exchange(request("/")).text == "ok"
        except Closed:
            assert proxy.get("/").text == "ok"


def test_events_are_not_held_back(app):
    proxy = app(ODD, ", workers: 1")
    with proxy.client() as client:
        client.send(request("/events"))
        client.read_head()
        client.read_until(b"data: 1\n\n")


def test_threads_work_side_by_side(app):
    source = """
        import threading
        meeting = threading.Barrier(4)
        def app(environ, start_response):
            meeting.wait(10)
            start_response("200 OK", [])
            return [b"met" if environ["wsgi.multithread"] else b"alone"]
    """
    proxy = app(source, ", workers: 1, threads: 4")
    clients = [proxy.client() for _ in range(4)]
    for client in clients:
        client.send(request())
    for client in clients:
        assert client.response().text == "met"
        client.close()


def test_a_stuck_worker_is_replaced(app):
    proxy = app(ODD, ", workers: 1, timeout: { request: 500ms }")
    before = proxy.endpoints("web")[0]["pid"]
    answer = proxy.get("/slow?60")
    assert (answer.status, answer.error) == (504, "http_response_timeout")
    assert proxy.get("/").text == "ok"
    assert proxy.endpoints("web")[0]["pid"] != before


def test_globals_are_each_workers_own_and_imports_happen_once(app):
    source = """
        import os
        imported = os.getpid()
        count = 0
        def app(environ, start_response):
            global count
            count += 1
            start_response("200 OK", [])
            return [f"{imported} {os.getpid()} {count}".encode()]
    """
    proxy = app(source, ", workers: 3")
    until(lambda: all(worker["state"] == "ready" for worker in proxy.endpoints("web")), "all workers")
    seen = [proxy.get().text.split() for _ in range(9)]
    assert len({imported for imported, _, _ in seen}) == 1
    assert len({pid for _, pid, _ in seen}) == 3
    assert sorted(count for _, _, count in seen) == ["1"] * 3 + ["2"] * 3 + ["3"] * 3


BROKEN = {
    "raises": ("raise RuntimeError('no database')", "app", ["RuntimeError", "no database"]),
    "a missing module": ("import frobnicate", "app", ["frobnicate", "pip install"]),
    "a syntax error": ("def app(:\n", "app", ["SyntaxError"]),
    "another name": ("application = lambda environ, start: []", "app", ["application"]),
    "not callable": ("app = 1", "app", ["app"]),
}


@pytest.mark.parametrize("case", BROKEN)
def test_an_app_that_cannot_be_imported_ends_the_start(app, case):
    source, attribute, words = BROKEN[case]
    proxy = app(source, attribute=attribute, ready=False)
    assert proxy.finished() == 1
    assert all(word in proxy.errors for word in words), proxy.errors


def test_a_broken_app_on_roll_leaves_the_old_one(app):
    proxy = app(HELLO, ", workers: 2")
    (app.place / "hello.py").write_text("raise RuntimeError('new and broken')\n")
    proxy.signal(signal.SIGUSR2)
    until(lambda: "new and broken" in proxy.errors, "the reason")
    assert [proxy.get().text for _ in range(4)] == ["hello"] * 4


def test_new_code_comes_with_a_roll_and_loses_nothing(app):
    proxy = app(HELLO, ", workers: 2")
    load = Load(proxy, clients=3, target="/")
    load.more(50)
    (app.place / "hello.py").write_text(textwrap.dedent(HELLO).replace('b"hello"', 'b"new code"'))
    # A reload alone leaves the code as it is.
    proxy.reload()
    assert proxy.get().text == "hello"
    proxy.signal(signal.SIGUSR2)
    until(lambda: proxy.get().text == "new code" and proxy.get().text == "new code", "the new code")
    load.more(50)
    load.end()


def test_reload_with_apps_by_the_command(app):
    proxy = app(HELLO, ", workers: 1")
    (app.place / "hello.py").write_text(textwrap.dedent(HELLO).replace('b"hello"', 'b"new code"'))
    done = run_proxy("reload", "--apps", "--conf", proxy.configuration)
    assert done.returncode == 0, done.stderr
    until(lambda: proxy.get().text == "new code", "the new code")


def test_the_environment_and_folder_of_an_app(app):
    source = """
        import os
        def app(environ, start_response):
            start_response("200 OK", [])
            return [f"{os.environ['GREETING']} {os.getcwd()}".encode()]
    """
    proxy = app(source, ", workers: 1, env: { GREETING: hello }")
    assert proxy.get().text == f"hello {app.place}"


def test_an_app_never_runs_as_root_unless_told(start_proxy, folder):
    (folder / "hello.py").write_text(textwrap.dedent(ENVIRON))
    proxy = start_proxy(f"services: {{ web: {{ app: 'hello:app', dir: {folder}, python: /usr/bin/python3, workers: 1 }} }}")
    assert proxy.get().json["uid"] == (65534 if os.getuid() == 0 else os.getuid())
    worker = proxy.endpoints("web")[0]
    assert processes.user_of(worker["pid"]) == (65534 if os.getuid() == 0 else os.getuid())


def test_a_killed_zygote_leaves_its_workers_at_work(app):
    proxy = app(HELLO, ", workers: 2")
    until(lambda: all(worker["state"] == "ready" for worker in proxy.endpoints("web")), "both workers")
    workers = {worker["pid"] for worker in proxy.endpoints("web")}
    zygote = {processes.all_processes()[pid].parent for pid in workers}
    assert len(zygote) == 1
    load = Load(proxy, clients=2, target="/")
    load.more(20)
    proxy.kill(zygote.pop())
    until(lambda: workers.isdisjoint(worker["pid"] for worker in proxy.endpoints("web"))
          and all(worker["state"] == "ready" for worker in proxy.endpoints("web")), "new workers from a new zygote")
    load.more(20)
    load.end()


FLASK = """
    from flask import Flask, abort, jsonify, redirect, request, stream_with_context, url_for
    app = Flask(__name__)

    @app.get("/")
    def index():
        return "hello from Flask"

    @app.post("/upload")
    def upload():
        return jsonify(bytes=len(request.files["file"].read()), name=request.files["file"].filename)

    @app.get("/url")
    def url():
        return jsonify(url=url_for("index", _external=True), remote=request.remote_addr, secure=request.is_secure)

    @app.get("/stream")
    def stream():
        return app.response_class(stream_with_context(f"line {n}\\n" for n in range(3)))

    @app.get("/boom")
    def boom():
        raise RuntimeError("flask boom")

    @app.get("/moved")
    def moved():
        return redirect(url_for("index"))
"""


def test_a_real_flask_app(app, authority):
    certificate, key = authority.certificate("localhost")
    proxy = app(FLASK, ", workers: 2, threads: 2", top=(
        'listen: ["https://127.0.0.1:0", "http://127.0.0.1:0"]\n'
        f"tls: {{ certificates: [{{ certificate: {certificate}, key: {key} }}] }}"))
    with proxy.client(tls=authority.client_context()) as client:
        assert client.exchange(request("/", host="localhost")).text == "hello from Flask"
        seen = client.exchange(request("/url", host="localhost:8443")).json
        assert seen == {"url": "https://localhost:8443/", "remote": "127.0.0.1", "secure": True}
        assert client.exchange(request("/stream")).text == "line 0\nline 1\nline 2\n"
        answer = client.exchange(request("/moved", host="localhost"))
        assert (answer.status, answer.get("location")) == (302, "/")
        content = b"x" * 200_000
        body = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n' + content + b"\r\n--edge--\r\n"
        answer = client.exchange(request("/upload", "POST", body=body, content_type="multipart/form-data; boundary=edge"))
        assert answer.json == {"bytes": 200_000, "name": "a.bin"}
        assert client.exchange(request("/boom")).status == 500
        assert client.exchange(request("/nothing")).status == 404
        assert client.exchange(request("/", "HEAD")).get("content-length") == "16"
    until(lambda: "flask boom" in proxy.errors, "the traceback in the error log")


DJANGO = """
    import sys
    import django
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
    from django.urls import path
    from django.views.decorators.csrf import csrf_exempt

    settings.configure(
        SECRET_KEY="for a test", ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, DEBUG=False,
        MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
        LOGGING={"version": 1, "disable_existing_loggers": False, "handlers": {"all": {"class": "logging.StreamHandler"}}, "root": {"handlers": ["all"]}})

    def index(request):
        return JsonResponse({"secure": request.is_secure(), "host": request.get_host(), "remote": request.META["REMOTE_ADDR"]})

    @csrf_exempt
    def form(request):
        return JsonResponse({"name": request.POST["name"]})

    def stream(request):
        return StreamingHttpResponse(f"part {n}\\n" for n in range(3))

    def boom(request):
        raise RuntimeError("django boom")

    urlpatterns = [path("", index), path("form", form), path("stream", stream), path("boom", boom)]
    app = get_wsgi_application()
"""


def test_a_real_django_project(app):
    proxy = app(DJANGO, ", workers: 2")
    with proxy.client() as client:
        assert client.exchange(request(host="example.test:81")).json == {
            "secure": False, "host": "example.test:81", "remote": "127.0.0.1"}
        assert client.exchange(request(
            "/form", "POST", body=b"name=somebody", content_type="application/x-www-form-urlencoded")).json == {"name": "somebody"}
        assert client.exchange(request("/stream")).text == "part 0\npart 1\npart 2\n"
        assert client.exchange(request("/boom")).status == 500
    until(lambda: "django boom" in proxy.errors, "the traceback in the error log")
    proxy.reload()
    assert proxy.get().status == 200


PROGRAM = '''
import os, socketserver, sys
from http.server import BaseHTTPRequestHandler
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = ("%s %d %s" % (sys.argv[2], os.getpid(), self.headers.get("X-Forwarded-For"))).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def address_string(self):
        return "-"
    def log_message(self, *_):
        pass
class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    request_queue_size = 64
    daemon_threads = True
if sys.argv[1].isdigit():
    class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
        allow_reuse_address = True
        daemon_threads = True
    Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
Server(sys.argv[1], Handler).serve_forever()
'''


@pytest.mark.parametrize("where", ["{socket}", "{port}"])
@pytest.mark.parametrize("keep_alive", ["false", "true"])
def test_a_program_that_speaks_http(start_proxy, folder, where, keep_alive):
    (folder / "program.py").write_text(PROGRAM)
    proxy = start_proxy(f"""
        services:
          tool: {{ command: [/usr/bin/python3, {folder}/program.py, "{where}", "{{worker}}"], workers: 2, concurrency: 4, keep_alive: {keep_alive} }}
    """)
    until(lambda: all(worker["state"] == "ready" for worker in proxy.endpoints("tool")), "both workers")
    with proxy.client() as client:
        seen = [client.exchange(request()).text.split() for _ in range(10)]
    assert sorted(slot for slot, _, _ in seen) == ["1"] * 5 + ["2"] * 5
    assert {forwarded for _, _, forwarded in seen} == {"127.0.0.1"}
    assert {int(pid) for _, pid, _ in seen} == {worker["pid"] for worker in proxy.endpoints("tool")}


SERVED = """
    import os
    async def asgi(scope, receive, send):
        if scope["type"] != "http":
            return
        body = f"{os.getpid()} {scope['scheme']} {scope['client'][0] if scope['client'] else '-'}".encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]})
        await send({"type": "http.response.body", "body": body})
    def wsgi(environ, start_response):
        body = f"{os.getpid()} {environ['wsgi.url_scheme']} {environ['HTTP_X_FORWARDED_FOR']}".encode()
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]
"""


@pytest.mark.parametrize("words", [
    "-m uvicorn --uds {socket} --log-level warning served:asgi",
    "-m uvicorn --host 127.0.0.1 --port {port} --log-level warning served:asgi",
    "-m gunicorn --bind unix:{socket} --workers 1 --worker-tmp-dir /tmp served:wsgi",
    "-m gunicorn --bind 127.0.0.1:{port} --workers 1 --worker-tmp-dir /tmp served:wsgi",
])
@pytest.mark.parametrize("keep_alive", ["false", "true"])
def test_a_server_from_elsewhere(start_proxy, folder, words, keep_alive):
    if keep_alive == "true" and "gunicorn" in words:
        pytest.skip("gunicorn's sync worker closes each connection")
    (folder / "served.py").write_text(textwrap.dedent(SERVED))
    user = "" if os.getuid() or others_can_read(TREE) else "user: root"
    listed = ", ".join(f'"{word}"' for word in [sys.executable, *words.split()])
    proxy = start_proxy(f"""
        {user}
        services: {{ tool: {{ command: [{listed}], dir: {folder}, workers: 2, concurrency: 4, keep_alive: {keep_alive} }} }}
    """)
    until(lambda: all(worker["state"] == "ready" for worker in proxy.endpoints("tool")), "both workers")
    with proxy.client() as client:
        seen = [client.exchange(request()).text.split() for _ in range(10)]
        # One of them is asked through its socket, which tells it no client.
        assert all(scheme == "http" for _, scheme, _ in seen)
    assert len({pid for pid, _, _ in seen}) == 2
    Load(proxy, clients=4, target="/").more(200).end()
    proxy.reload()
    assert proxy.get().status == 200


def test_a_program_ends_with_all_its_children(start_proxy, folder):
    script = folder / "wrapper.sh"
    (folder / "program.py").write_text(PROGRAM)
    script.write_text(f"#!/bin/sh\nsleep 1000 &\n/usr/bin/python3 {folder}/program.py \"$1\" wrapped\n")
    script.chmod(0o755)
    proxy = start_proxy(f"services: {{ tool: {{ command: [{script}, '{{socket}}'], workers: 1 }} }}")
    assert proxy.get().text.startswith("wrapped")
    below = [process.pid for process in processes.descendants(proxy.pid)]
    proxy.kill(proxy.pid)
    proxy.wait()
    until(lambda: not any(processes.is_alive(pid) for pid in below), "the end of all of them")
    for path in proxy.folder.rglob("*.sock"):
        path.unlink()


def test_a_killed_program_is_replaced(start_proxy, folder):
    (folder / "program.py").write_text(PROGRAM)
    proxy = start_proxy(f"""
        services:
          tool: {{ command: [/usr/bin/python3, {folder}/program.py, "{{socket}}", "{{worker}}"], workers: 1 }}
    """)
    pid = int(proxy.get().text.split()[1])
    proxy.kill(pid)
    until(lambda: int(proxy.get().text.split()[1]) != pid, "its successor")
