"""Finds the app: `module:attribute` or `module:factory()`, and says why when it cannot."""

import difflib
import functools
import importlib
import inspect
import os
import re
import sys
import traceback

from proxyapp import failure

# Where the name to install is not the name to import.
_DISTRIBUTIONS = {
    "MySQLdb": "mysqlclient", "PIL": "Pillow", "bs4": "beautifulsoup4", "corsheaders":
    "django-cors-headers", "cv2": "opencv-python-headless", "dateutil": "python-dateutil",
    "dotenv": "python-dotenv", "environ": "django-environ", "git": "GitPython", "jose":
    "python-jose", "jwt": "PyJWT", "magic": "python-magic", "psycopg2": "psycopg2-binary",
    "rest_framework": "djangorestframework", "skimage": "scikit-image", "sklearn": "scikit-learn",
    "yaml": "PyYAML", "zmq": "pyzmq",
}

# Frameworks by the top-level package of the app's class.
_FRAMEWORKS = {
    "flask": "Flask", "django": "Django", "bottle": "Bottle", "falcon": "Falcon",
    "pyramid": "Pyramid", "fastapi": "FastAPI", "starlette": "Starlette", "quart": "Quart",
    "litestar": "Litestar", "channels": "Channels", "cherrypy": "CherryPy", "dash": "Dash",
}

# Lines of a source file that look as if they made an app; read, never run.
_MADE = re.compile(
    r"^(\w+)\s*(?::[^=\n]+)?=\s*(?:\w+\.)*"
    r"(?:Flask|Bottle|Dash|get_wsgi_application|make_wsgi_app)\(|"
    r"^def (app|application)\(\w+, *\w+\)|^def ((?:create|make|build)_app)\(", re.MULTILINE)

# How much is looked at to find candidates, in files and bytes a file.
_FILES_MAX = 200
_FILE_BYTES_MAX = 65536


class LoadError(Exception):
    """The app cannot be served. The message is one line: cause and cure."""

    def __init__(self, message, trace=""):
        super().__init__(message)
        self.trace = trace


class Application:
    """What was found: the callable, its interface and a line that describes it."""

    def __init__(self, call, interface, description):
        self.call = call
        self.interface = interface
        self.description = description


def load(target, folder, interface="auto"):
    """Imports the app in `folder`, which is the current one and the first of `sys.path`."""
    module_name, colon, attribute = target.partition(":")
    if not colon or not module_name or not attribute:
        raise LoadError("app: %s has no colon; write module:attribute, as in app:app" % target)
    is_factory = attribute.endswith("()")
    attribute = attribute[:-2] if is_factory else attribute
    module = _import(module_name, folder)
    found = _attribute(module, module_name, attribute, folder)
    if is_factory:
        if not callable(found):
            raise LoadError("%s:%s is a %s, not a factory" % (
                module_name, attribute, type(found).__name__))
        found = _make(found, target, folder)
    if not callable(found):
        raise LoadError("%s%s a %s, not a callable" % (
            target, " returned" if is_factory else " is", type(found).__name__))
    kind = _interface(found) if interface == "auto" else interface
    if kind == "factory":
        raise LoadError("%s takes no arguments, so it is no WSGI app; if it makes one, write %s()"
                        % (target, target))
    if kind == "asgi":
        framework = _framework(found)
        raise LoadError("%s is an ASGI app%s; ASGI comes later; this version serves WSGI"
                        % (target, " (%s)" % framework if framework else ""))
    return Application(found, kind, _description(module, attribute, is_factory, found, folder))


def _import(name, folder):
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise _missing(error, name, folder) from error
    except SystemExit as error:
        raise LoadError("%s ended itself while it was imported (sys.exit(%r)); put what starts a "
                        "server behind if __name__ == \"__main__\"" % (name, error.code),
                        failure.text(error)) from error
    except BaseException as error:
        raise LoadError("cannot import %s: %s" % (name, _last_line(error, folder)),
                        failure.text(error)) from error


def _missing(error, name, folder):
    """The target itself, a module of the app's own, or something to install."""
    missing = error.name or ""
    if name == missing or name.startswith(missing + "."):
        found = _candidates_in_files(folder)
        hint = "found %s" % ", ".join(found) if found else "is dir right?"
        return LoadError("no module %s in %s; %s" % (missing or name, folder, hint))
    trace = failure.text(error)
    where = _where(error, folder)
    if not missing:
        return LoadError("cannot import %s: %s" % (name, _last_line(error, folder)), trace)
    top = missing.partition(".")[0]
    if top in sys.modules or os.path.exists(os.path.join(folder, top)):
        return LoadError("%s imports %s, which is not there" % (where, missing), trace)
    return LoadError("%s needs the module %s, which is not installed; try: %s -m pip install %s" % (
        where, top, sys.executable, _DISTRIBUTIONS.get(top, top.replace("_", "-"))), trace)


def _attribute(module, module_name, attribute, folder):
    found = module
    try:
        for part in attribute.split("."):
            found = getattr(found, part)
        return found
    except AttributeError:
        pass
    candidates = _candidates(module, module_name)
    close = difflib.get_close_matches(
        "%s:%s" % (module_name, attribute), candidates, n=1, cutoff=0.75)
    message = "module %s has no attribute %s" % (module_name, attribute)
    if close:
        message += "; did you mean %s?" % close[0]
        candidates.remove(close[0])
    if candidates:
        message += "; candidates: %s" % ", ".join(candidates)
    elif not close:
        others = _candidates_in_files(folder)
        message += "; found %s" % ", ".join(others) if others else "; it has no app at all"
    raise LoadError(message)


def _make(factory, target, folder):
    try:
        return factory()
    except BaseException as error:
        raise LoadError("%s raised %s" % (target, _last_line(error, folder)),
                        failure.text(error)) from error


def _candidates(module, name):
    """What in an imported module could be the app."""
    found = []
    for key, value in vars(module).items():
        if key.startswith("_") or inspect.ismodule(value) or inspect.isclass(value):
            continue
        if inspect.isfunction(value):
            if value.__module__ != module.__name__:
                continue
            if key in ("app", "application", "wsgi"):
                found.append("%s:%s" % (name, key))
            elif re.fullmatch(r"(create|make|build|get)_(\w+_)?app(lication)?", key):
                found.append("%s:%s()" % (name, key))
        elif callable(value) and (_framework(value) or key in ("app", "application")):
            found.append("%s:%s" % (name, key))
    return found


def _candidates_in_files(folder):
    """What in the folder's own source files looks like an app, without importing anything."""
    found = []
    try:
        names = sorted(os.listdir(folder))[:_FILES_MAX]
    except OSError:
        return found
    for name in names:
        paths = [name] if name.endswith(".py") else [
            os.path.join(name, each) for each in ("__init__.py", "wsgi.py", "app.py")]
        for path in paths:
            try:
                with open(os.path.join(folder, path), encoding="utf-8", errors="replace") as file:
                    source = file.read(_FILE_BYTES_MAX)
            except OSError:
                continue
            module = path[:-3].replace(os.sep, ".").replace(".__init__", "")
            for app, function, factory in _MADE.findall(source):
                found.append("%s:%s" % (module, app or function or factory + "()"))
    return found[:5]


def _interface(call):
    """WSGI or ASGI, by looking: ASGI is a coroutine function, or takes three arguments."""
    while isinstance(call, functools.partial):
        call = call.func
    method = getattr(call, "__call__", None)
    if inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(method):
        return "asgi"
    try:
        parameters = list(inspect.signature(call).parameters.values())
    except (TypeError, ValueError):
        return "wsgi"
    plain = [each for each in parameters
             if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    needed = [each.name for each in plain if each.default is each.empty]
    if needed[:3] == ["scope", "receive", "send"]:
        return "asgi"
    if inspect.isfunction(call) and len(plain) < 2 and not needed and not any(
            each.kind == each.VAR_POSITIONAL for each in parameters):
        return "factory"
    return "wsgi"


def _framework(app):
    for base in type(app).__mro__:
        name = _FRAMEWORKS.get(base.__module__.partition(".")[0])
        if name:
            return name
    return None


def _description(module, attribute, is_factory, app, folder):
    words = [_framework(app)] if _framework(app) else []
    if words == ["Django"] and os.environ.get("DJANGO_SETTINGS_MODULE"):
        words.append("settings %s" % os.environ["DJANGO_SETTINGS_MODULE"])
    words.append("WSGI")
    path = getattr(module, "__file__", None)
    return "%s → %s%s (%s)" % (
        _short(path, folder) if path else module.__name__, attribute, "()" if is_factory else "",
        ", ".join(words))


def _short(path, folder):
    inside = os.path.relpath(path, folder)
    return path if inside.startswith("..") else inside


def _where(error, folder):
    """The place in the app's own files where `error` was raised, else the innermost of all."""
    own = None
    for frame in traceback.extract_tb(failure.own_part(error.__traceback__)):
        inside = _short(frame.filename, folder)
        if not os.path.isabs(inside) and not inside.startswith("<") and \
                "site-packages" not in inside:
            own = "%s, line %d" % (inside, frame.lineno)
    return own or "the app"


def _last_line(error, folder):
    """The last line of the traceback, with the place in the app."""
    if isinstance(error, SyntaxError):
        return "%s: %s" % (type(error).__name__, error)
    line = traceback.format_exception_only(type(error), error)[-1].strip()
    return "%s (%s)" % (line, _where(error, folder))
