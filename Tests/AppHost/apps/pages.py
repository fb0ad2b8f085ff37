"""One WSGI app with a page for each thing that PEP 3333 allows or forbids."""

import gzip
import hashlib
import io
import json
import os
import sys
import tempfile
import threading
import time

count = 0
closed = []
started = threading.Event()


class Closing:
    """An iterable that says when it was closed."""

    def __init__(self, pieces, note="closed", error=None):
        self.pieces, self.note, self.error = iter(pieces), note, error

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.pieces)

    def close(self):
        closed.append(self.note)
        if self.error:
            raise self.error


def app(environ, start_response):
    name = environ["PATH_INFO"].strip("/").replace("-", "_") or "hello"
    return globals()["page_" + name](environ, start_response)


def plain(start_response, *headers, status="200 OK"):
    return start_response(status, [("Content-Type", "text/plain"), *headers])


def query(environ):
    return dict(each.split("=", 1) for each in environ["QUERY_STRING"].split("&") if each)


def page_hello(environ, start_response):
    plain(start_response)
    return [b"hello"]


def page_environ(environ, start_response):
    plain(start_response)
    seen = {key: value for key, value in environ.items() if isinstance(value, (str, bool, tuple))}
    return [json.dumps(seen).encode()]


def page_count(environ, start_response):
    global count
    count += 1
    plain(start_response)
    return [("%d %d" % (os.getpid(), count)).encode()]


def page_closed(environ, start_response):
    plain(start_response)
    return [json.dumps(closed).encode()]


def page_sleep(environ, start_response):
    time.sleep(float(query(environ)["seconds"]))
    plain(start_response)
    return [b"slept"]


def page_stuck(environ, start_response):
    """Says that it is here, and stays until there is a file."""
    print("stuck here", flush=True)
    while not os.path.exists(query(environ)["file"]):
        time.sleep(0.01)
    plain(start_response)
    return [b"free"]


def page_upload(environ, start_response):
    digest, size, file = hashlib.sha256(), 0, environ["wsgi.input"]
    for block in iter(lambda: file.read(50000), b""):
        digest.update(block)
        size += len(block)
    plain(start_response)
    return [("%d %s" % (size, digest.hexdigest())).encode()]


def page_lines(environ, start_response):
    file = environ["wsgi.input"]
    found = [file.readline(), file.readline(3), file.readlines(), file.read(), file.readline()]
    plain(start_response)
    return [repr(found).encode()]


def page_iterate(environ, start_response):
    plain(start_response)
    return [repr(list(environ["wsgi.input"])).encode()]


def page_read_some(environ, start_response):
    data = environ["wsgi.input"].read(int(query(environ)["bytes"]))
    plain(start_response)
    return [str(len(data)).encode()]


def page_several(environ, start_response):
    plain(start_response)
    return [b"one ", b"", b"two ", b"three"]


def page_nothing(environ, start_response):
    plain(start_response)
    return []


def page_generator(environ, start_response):
    plain(start_response)
    yield b""
    yield b"first "
    yield b"second"


def page_late_start(environ, start_response):
    yield b""
    plain(start_response, status="201 Created")
    yield b"late"


def page_empty_generator(environ, start_response):
    plain(start_response)
    return iter(())


def page_closing(environ, start_response):
    plain(start_response)
    return Closing([b"a", b"b"])


def page_close_raises(environ, start_response):
    plain(start_response, ("Content-Length", "2"))
    return Closing([b"ok"], "close-raises", ValueError("in close"))


def page_raise_closing(environ, start_response):
    def pieces():
        yield b"begun"
        raise ValueError("in the middle")
    plain(start_response)
    return Closing(pieces(), "raise-closing")


def page_write(environ, start_response):
    write = plain(start_response)
    write(b"written ")
    write(b"twice ")
    return [b"and returned"]


def page_step(environ, start_response):
    """Each block goes out before the next one is made."""
    plain(start_response)
    yield b"first"
    if not os.path.exists(query(environ)["file"]):
        time.sleep(0.01)
        while not os.path.exists(query(environ)["file"]):
            time.sleep(0.01)
    yield b"second"


def page_exc_info(environ, start_response):
    plain(start_response)
    try:
        raise KeyError("replaced")
    except KeyError:
        start_response("503 Replaced", [("Content-Type", "text/plain")], sys.exc_info())
    return [b"replaced"]


def page_exc_info_late(environ, start_response):
    write = plain(start_response)
    write(b"too late")
    try:
        raise KeyError("late")
    except KeyError:
        start_response("503 Replaced", [], sys.exc_info())
    return [b"never"]


def page_twice(environ, start_response):
    plain(start_response)
    plain(start_response)
    return [b"never"]


def page_no_start(environ, start_response):
    return [b"never"]


def page_none(environ, start_response):
    plain(start_response)
    return None


def page_text(environ, start_response):
    plain(start_response)
    return ["text"]


def page_text_later(environ, start_response):
    plain(start_response)
    return iter(["text"])


def page_raise(environ, start_response):
    raise RuntimeError("it broke; ünd 100%")


def page_raise_long(environ, start_response):
    def deep(level):
        if level:
            deep(level - 1)
        raise RuntimeError("ü" * 100000)
    deep(50)


def page_raise_after_start(environ, start_response):
    plain(start_response)
    raise RuntimeError("after start_response")


def page_exit(environ, start_response):
    sys.exit(3)


def page_interrupt(environ, start_response):
    raise KeyboardInterrupt


def page_broken_pipe(environ, start_response):
    raise BrokenPipeError("of the app's own")


def page_header(environ, start_response):
    name, value = [
        bytes.fromhex(query(environ)[key]).decode("latin-1") for key in ("name", "value")]
    plain(start_response, (name, value))
    return [b"sent"]


def page_status(environ, start_response):
    status = bytes.fromhex(query(environ)["status"]).decode("latin-1")
    plain(start_response, status=status)
    return [b"body"]


def page_two_lengths(environ, start_response):
    plain(start_response, ("Content-Length", "4"), ("content-length", "4"))
    return [b"four"]


def page_number_header(environ, start_response):
    plain(start_response, ("X-Number", 7))
    return [b"sent"]


def page_length(environ, start_response):
    """Announces `says` bytes and gives `gives`, as `kind`."""
    asked = query(environ)
    plain(start_response, ("Content-Length", asked["says"]))
    body = b"x" * int(asked["gives"])
    half = len(body) // 2
    return {"list": [body], "lists": [body[:half], body[half:]],
            "iterator": iter([body[:half], body[half:]])}[asked["kind"]]


def page_endless(environ, start_response):
    plain(start_response, *([("Content-Length", "10")] if environ["QUERY_STRING"] else []))
    while True:
        yield b"x" * 7


def page_file(environ, start_response):
    """`size` bytes by wsgi.file_wrapper, as a real file or not, from `skip` on."""
    asked = query(environ)
    data = bytes(number % 251 for number in range(int(asked["size"])))
    if asked["kind"] in ("file", "named"):
        make = tempfile.TemporaryFile if asked["kind"] == "file" else tempfile.NamedTemporaryFile
        file = make()
        file.write(data)
        file.seek(int(asked.get("skip", 0)))
    elif asked["kind"] == "gzip":
        packed = tempfile.TemporaryFile()
        packed.write(gzip.compress(data))
        packed.seek(0)
        file = gzip.GzipFile(fileobj=packed)
        file.seek(int(asked.get("skip", 0)))
    else:
        file = io.BytesIO(data)
        file.read(int(asked.get("skip", 0)))
    headers = [("Content-Length", asked["says"])] if "says" in asked else []
    plain(start_response, *headers)
    result = environ["wsgi.file_wrapper"](file, 1000)
    close = result.close
    result.close = lambda: (closed.append("file"), close())
    return result


def page_download(environ, start_response):
    plain(start_response)
    return [b"0123456789" * (int(environ["QUERY_STRING"]) // 10)]


def page_print(environ, start_response):
    print("printed")
    print("to stderr", file=sys.stderr)
    print("to wsgi.errors", file=environ["wsgi.errors"])
    plain(start_response)
    return [b"printed"]
