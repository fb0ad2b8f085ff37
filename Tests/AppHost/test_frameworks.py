"""Real Flask and real Django, as users write them."""

import json
import os
import subprocess
import sys
from urllib.parse import unquote

import pytest

from master import head

FLASK = '''
import io, os
from flask import Flask, Response, abort, jsonify, request, send_file, session, stream_with_context

app = Flask(__name__)
app.secret_key = "test"

@app.route("/")
def hello():
    return "hello from Flask"

@app.route("/where")
def where():
    return jsonify(url=request.url, root=request.script_root, remote=request.remote_addr,
                   secure=request.is_secure, id=request.headers["X-Request-Id"])

@app.route("/form", methods=["POST"])
def form():
    return jsonify(request.form)

@app.route("/file", methods=["POST"])
def file():
    sent = request.files["file"]
    return jsonify(name=sent.filename, size=len(sent.read()), note=request.form["note"])

@app.route("/raw", methods=["POST"])
def raw():
    return str(len(request.get_data()))

@app.route("/stream")
def stream():
    def pieces():
        for number in range(3):
            yield "piece %d of %s\\n" % (number, request.path)
    return Response(stream_with_context(pieces()), mimetype="text/plain")

@app.route("/events")
def events():
    return Response(("data: %d\\n\\n" % each for each in range(2)), mimetype="text/event-stream",
                    headers={"Connection": "keep-alive", "Cache-Control": "no-cache"})

@app.route("/download")
def download():
    return send_file(os.path.abspath(__file__), mimetype="text/plain")

@app.route("/memory")
def memory():
    return send_file(io.BytesIO(b"x" * 100000), mimetype="text/plain")

@app.route("/login")
def login():
    session["user"] = "ada"
    return "", 204

@app.route("/user")
def user():
    return session["user"]

@app.route("/raise")
def fail():
    return {}["missing"]

@app.route("/stream-raise")
def stream_raise():
    def pieces():
        yield "begun"
        raise ValueError("in the stream")
    return Response(pieces(), mimetype="text/plain")

@app.route("/gone")
def gone():
    abort(410)
'''


@pytest.fixture(params=[1, 2])
def flask(request, start, site):
    zygote = start("app:app", site(app=FLASK, **{"static/page": "static"}), threads=request.param)
    assert zygote.imported()["description"] == "app.py → app (Flask, WSGI)"
    return zygote.fork()


def multipart(size):
    mark = b"----mark"
    body = b"--" + mark + b'\r\ncontent-disposition: form-data; name="note"\r\n\r\nhi\r\n--'
    body += mark + b'\r\ncontent-disposition: form-data; name="file"; filename="a.bin"\r\n'
    body += b"content-type: application/octet-stream\r\n\r\n" + os.urandom(size) + b"\r\n"
    return body + b"--" + mark + b"--\r\n", [
        ("content-type", "multipart/form-data; boundary=" + mark.decode())]


def test_flask_pages(flask):
    edge = flask.connect()
    answer = edge.get()
    assert (answer.status, answer.text) == (200, "hello from Flask")
    assert json.loads(edge.get("/where?x=1", host="shop.example",
                               peer="https 192.0.2.1 5 8443 /pre").body) == {
        "url": "https://shop.example/pre/where?x=1", "root": "/pre", "remote": "192.0.2.1",
        "secure": True, "id": "01JD0000000000000000000000"}
    form = [("content-type", "application/x-www-form-urlencoded")]
    answer = edge.get("/form", "POST", b"a=1&b=%C3%BC", form)
    assert json.loads(answer.body) == {"a": "1", "b": "ü"}
    assert edge.get("/stream").text.splitlines() == [
        "piece %d of /stream" % number for number in range(3)]
    assert edge.get("/events").text == "data: 0\n\ndata: 1\n\n"
    assert edge.get("/download").text == FLASK
    assert edge.get("/static/page.py").text == "static"
    assert edge.get("/memory").text == "x" * 100000
    assert edge.get("/", "HEAD").field("content-length") == "16"
    assert edge.get("/gone").status == 410 and edge.get("/nowhere").status == 404
    assert edge.get("/nowhere").field("proxy-exception") is None
    cookie = edge.get("/login").field("set-cookie").partition(";")[0]
    assert edge.get("/user", fields=[("cookie", cookie)]).text == "ada"
    edge.close()


@pytest.mark.parametrize("size", [0, 1000, 3_000_000])
def test_flask_uploads(flask, size):
    body, fields = multipart(size)
    edge = flask.connect()
    assert json.loads(edge.get("/file", "POST", body, fields).body) == {
        "name": "a.bin", "size": size, "note": "hi"}
    edge.send(head("POST", "/raw", [("transfer-encoding", "chunked")]) + b"3\r\nabc\r\n0\r\n\r\n")
    assert edge.read().text == "3"
    assert edge.get("/", "POST", body, fields).status == 405  # and leaves its body unread
    assert edge.get().text == "hello from Flask"
    edge.close()


def test_an_exception_that_flask_handles_reaches_the_edge(flask):
    edge = flask.connect()
    answer = edge.get("/raise")
    kind, message, trace = map(unquote, answer.field("proxy-exception").split(";"))
    assert answer.status == 500 and "Internal Server Error" in answer.text
    assert (kind, message) == ("KeyError", "'missing'")
    assert 'in fail\n    return {}["missing"]' in trace
    assert edge.get().field("proxy-exception") is None
    cut = edge.get("/stream-raise")
    assert cut.body == b"begun" and not cut.complete
    edge.close()
    assert "ValueError: in the stream" in flask.read_output(b"ValueError: in the stream")


DJANGO_VIEWS = '''
import sys, time
from django.http import FileResponse, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

def hello(request):
    return HttpResponse("hello from Django")

def where(request):
    return JsonResponse({"url": request.build_absolute_uri(), "secure": request.is_secure(),
                         "remote": request.META["REMOTE_ADDR"]})

@csrf_exempt
def file(request):
    sent = request.FILES["file"]
    return JsonResponse({"name": sent.name, "size": len(sent.read()), "note": request.POST["note"]})

def stream(request):
    return StreamingHttpResponse(("piece %d\\n" % each for each in range(3)))

def download(request):
    return FileResponse(open(__file__, "rb"))

def fail(request):
    raise LookupError("in the view; it broke")

urlpatterns = [path("", hello), path("where", where), path("file", file), path("stream", stream),
               path("download", download), path("raise", fail)]
'''


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("django")
    subprocess.run(
        [sys.executable, "-m", "django", "startproject", "mysite", str(folder)], check=True)
    (folder / "mysite" / "urls.py").write_text(DJANGO_VIEWS)
    settings = folder / "mysite" / "settings.py"
    settings.write_text(settings.read_text().replace("DEBUG = True", "DEBUG = False").replace(
        "ALLOWED_HOSTS = []", 'ALLOWED_HOSTS = ["shop.example"]'))
    return folder


@pytest.mark.parametrize("threads", [1, 2])
def test_a_django_project(start, project, threads):
    zygote = start("mysite.wsgi:application", project, threads=threads)
    found = zygote.imported()
    assert found["description"] == (
        "mysite/wsgi.py → application (Django, settings mysite.settings, WSGI)")
    assert found["warnings"] == []
    worker = zygote.fork()
    edge = worker.connect()

    def get(*arguments, **more):
        return edge.get(*arguments, host="shop.example", **more)

    assert get("/").text == "hello from Django"
    assert json.loads(get("/where?a=b").body) == {
        "url": "https://shop.example/where?a=b", "secure": True, "remote": "127.0.0.1"}
    for size in (0, 3_000_000):
        body, fields = multipart(size)
        assert json.loads(get("/file", "POST", body, fields).body) == {
            "name": "a.bin", "size": size, "note": "hi"}
    assert get("/stream").text == "piece 0\npiece 1\npiece 2\n"
    answer = get("/download")
    assert answer.text == DJANGO_VIEWS and answer.field("content-length") == str(len(DJANGO_VIEWS))
    assert get("/", "HEAD").status == 200
    assert get("/nowhere").status == 404
    assert edge.get("/", host="evil.example").status == 400
    answer = get("/raise")
    assert answer.status == 500
    kind, message, trace = map(unquote, answer.field("proxy-exception").split(";"))
    assert (kind, message) == ("LookupError", "in the view; it broke")
    assert "in fail\n" in trace
    assert get("/").field("proxy-exception") is None
    edge.close()
    worker.kill()
    assert worker.ended() == 0


def test_django_settings_that_are_missing_are_named(start, project):
    zygote = start("mysite.wsgi:application", project,
                   environment={"DJANGO_SETTINGS_MODULE": "mysite.nosettings"})
    assert zygote.failed()["error"] == (
        "mysite/wsgi.py, line 16 imports mysite.nosettings, which is not there")
