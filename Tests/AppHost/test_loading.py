"""Every way in which an app cannot be imported, with the words that say so."""

import os
import sys

import pytest

PYTHON = sys.executable
HELLO = "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'ok']\n"


@pytest.mark.parametrize("files, target, error", [
    ({"app": HELLO}, "app", "app: app has no colon; write module:attribute, as in app:app"),
    ({"app": HELLO}, ":app", "app: :app has no colon; write module:attribute, as in app:app"),
    ({"app": HELLO}, "shop:app", "no module shop in {dir}; found app:app"),
    ({"shop/wsgi": "import os\napplication = get_wsgi_application()\n"}, "wsgi:application",
     "no module wsgi in {dir}; found shop.wsgi:application"),
    ({"other": ""}, "shop:app", "no module shop in {dir}; is dir right?"),
    ({"shop/__init__": ""}, "shop.wsgi:app", "no module shop.wsgi in {dir}; is dir right?"),
    ({"app": HELLO}, "app.wsgi:app", "no module app.wsgi in {dir}; found app:app"),
    ({"app": "import nosuchthing\n" + HELLO}, "app:app",
     "app.py, line 1 needs the module nosuchthing, which is not installed; "
     "try: {python} -m pip install nosuchthing"),
    ({"app": "import helper\n" + HELLO, "helper": "\nfrom no_such_thing.deep import x"}, "app:app",
     "helper.py, line 2 needs the module no_such_thing, which is not installed; "
     "try: {python} -m pip install no-such-thing"),
    ({"app": "import yaml\n" + HELLO}, "app:app",
     "app.py, line 1 needs the module yaml, which is not installed; "
     "try: {python} -m pip install PyYAML"),
    ({"shop/__init__": "", "shop/wsgi": "import shop.settings\n" + HELLO}, "shop.wsgi:app",
     "shop/wsgi.py, line 1 imports shop.settings, which is not there"),
    ({"app": HELLO}, "app:ap", "module app has no attribute ap; did you mean app:app?"),
    ({"app": HELLO + "def create_app():\n    return app\n"}, "app:nothing",
     "module app has no attribute nothing; candidates: app:app, app:create_app()"),
    ({"app": "x = 1", "main": HELLO}, "app:app", "module app has no attribute app; found main:app"),
    ({"app": "x = 1"}, "app:app", "module app has no attribute app; it has no app at all"),
    ({"app": HELLO}, "app:app.wsgi", "module app has no attribute app.wsgi; candidates: app:app"),
    ({"app": "app = 'text'"}, "app:app", "app:app is a str, not a callable"),
    ({"app": "def create_app():\n    return app\n" + HELLO}, "app:create_app",
     "app:create_app takes no arguments, so it is no WSGI app; if it makes one, "
     "write app:create_app()"),
    ({"app": "def create_app():\n    pass\n"}, "app:create_app()",
     "app:create_app() returned a NoneType, not a callable"),
    ({"app": "app = 1"}, "app:app()", "app:app is a int, not a factory"),
    ({"app": "def create_app():\n    return {}['key']\n"}, "app:create_app()",
     "app:create_app() raised KeyError: 'key' (app.py, line 2)"),
    ({"app": "x = 1\n1 / 0\n"}, "app:app",
     "cannot import app: ZeroDivisionError: division by zero (app.py, line 2)"),
    ({"app": "import helper", "helper": "raise ValueError('no settings')"}, "app:app",
     "cannot import app: ValueError: no settings (helper.py, line 1)"),
    ({"app": "def app(:\n"}, "app:app",
     "cannot import app: SyntaxError: invalid syntax (app.py, line 1)"),
    ({"app": "from os import nothing_here"}, "app:app",
     "cannot import app: ImportError: cannot import name 'nothing_here' from 'os' ({os}) "
     "(app.py, line 1)"),
    ({"app": "import sys\nsys.exit(3)"}, "app:app",
     "app ended itself while it was imported (sys.exit(3)); put what starts a server behind "
     "if __name__ == \"__main__\""),
    ({"app": "async def app(scope, receive, send):\n    pass\n"}, "app:app",
     "app:app is an ASGI app; ASGI comes later; this version serves WSGI"),
    ({"app": "class App:\n    async def __call__(self, scope, receive, send):\n        pass\n\n"
             "app = App()"}, "app:app",
     "app:app is an ASGI app; ASGI comes later; this version serves WSGI"),
    ({"app": "import functools\nasync def f(x, scope, receive, send):\n    pass\n\n"
             "app = functools.partial(f, 1)"}, "app:app",
     "app:app is an ASGI app; ASGI comes later; this version serves WSGI"),
])
def test_what_cannot_be_served_is_said(start, site, files, target, error):
    folder = site(**files)
    found = start(target, folder).failed()
    assert found["error"] == error.format(dir=folder, python=PYTHON, os=os.__file__)


def test_the_traceback_is_the_apps_own(start, site):
    folder = site(app="import helper", helper="def f():\n    1 / 0\n\nf()\n")
    trace = start("app:app", folder).failed()["traceback"]
    assert trace.startswith("Traceback (most recent call last):\n  File \"%s" % (folder / "app.py"))
    assert trace.endswith("ZeroDivisionError: division by zero\n")
    assert "proxyapp" not in trace and "importlib" not in trace


def test_a_folder_that_is_not_there(start, tmp_path):
    found = start("app:app", tmp_path / "nowhere").failed()
    assert found["error"] == "dir %s: No such file or directory" % (tmp_path / "nowhere")


def test_a_huge_traceback_fits_its_packet(start, site):
    folder = site(app="raise ValueError('x' * 1000000)")
    found = start("app:app", folder).failed()
    assert found["error"].startswith("cannot import app: ValueError: xxx")


@pytest.mark.parametrize("source, target, description", [
    (HELLO, "app:app", "app.py → app (WSGI)"),
    ("def create_app():\n    return app\n" + HELLO, "app:create_app()",
     "app.py → create_app() (WSGI)"),
    ("class App:\n    def __call__(self, environ, start_response):\n"
     "        start_response('200 OK', [])\n        return [b'ok']\n\n"
     "class Holder:\n    app = App()\n", "app:Holder.app", "app.py → Holder.app (WSGI)"),
    ("class App:\n    def __init__(self, environ, start_response):\n"
     "        start_response('200 OK', [])\n    def __iter__(self):\n        yield b'ok'\n",
     "app:App", "app.py → App (WSGI)"),
    ("import functools\ndef f(x, environ, start_response):\n    start_response('200 OK', [])\n"
     "    return [b'ok']\n\napp = functools.partial(f, 1)\n", "app:app", "app.py → app (WSGI)"),
    ("def app(*arguments):\n    arguments[1]('200 OK', [])\n    return [b'ok']\n", "app:app",
     "app.py → app (WSGI)"),
])
def test_each_form_of_an_app(start, site, source, target, description):
    zygote = start(target, site(app=source))
    assert zygote.imported()["description"] == description
    assert zygote.fork().get().text == "ok"


def test_the_interface_can_be_forced(start, site):
    zygote = start("app:app", site(app='''
class App:
    def __call__(self, scope, receive, send=None):
        receive("200 OK", [])
        return [b"ok"]

    async def never(self):
        pass

app = App()
'''), interface="wsgi")
    assert zygote.imported()["interface"] == "wsgi"
    assert zygote.fork().get().text == "ok"
