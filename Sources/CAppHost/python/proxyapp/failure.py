"""What is said of an exception: a traceback for people, and the field that the edge reads."""

import importlib
import os
import sys
import traceback
from urllib.parse import quote

# The whole `proxy-exception` value (bytes, percent-encoded), and what its parts may take of it.
FIELD_BYTES_MAX = 6144
TYPE_BYTES_MAX = 256
MESSAGE_BYTES_MAX = 1536

# The longest traceback that is printed (characters): its two ends.
REPORT_MAX = 32768

# Frames before the app's own: this host's and those of the import system.
_OURS = (os.path.dirname(os.path.abspath(__file__)) + os.sep,
         os.path.dirname(importlib.__file__) + os.sep, "<frozen importlib")


def own_part(trace):
    """The traceback from the first frame that is not ours."""
    first = trace
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if not name.startswith(_OURS):
            return trace
        trace = trace.tb_next
    return first


def prepare():
    """Has Python load now what it loads when it first prints an exception (what underlines columns
    and suggests names): a worker may have no descriptor left for it, or not the right to read it.
    """
    try:
        "é" + absent  # two expressions, a wide letter and an unknown name: all of it is needed
    except NameError as error:
        text(error)
    try:
        "é" + None
    except TypeError as error:
        text(error)


def text(error):
    """The traceback as Python prints it, without the frames of this host."""
    try:
        return "".join(traceback.format_exception(
            type(error), error, own_part(error.__traceback__)))
    except BaseException as failed:  # the app's own classes, no descriptor, no memory
        return "%s (its traceback cannot be made: %s)\n" % (
            type(error).__name__, type(failed).__name__)


def request(environ):
    """`METHOD PATH (request ID)`, as far as the app has left its environ alone."""
    return "%s %s (request %s)" % (
        _word(environ, "REQUEST_METHOD"), _word(environ, "REQUEST_URI").partition("?")[0],
        identity(environ))


def identity(environ):
    """The request's id; "-" when the app has taken it away."""
    return _word(environ, "HTTP_X_REQUEST_ID")


def _word(environ, name):
    value = environ.get(name)
    return value if type(value) is str else "-"


def report(error, environ, note="the app raised"):
    """Writes the traceback to stderr, which is the error log, under the request it belongs to."""
    tell("%s in %s" % (note, request(environ)), error)


def tell(what, error):
    """Writes what happened, and under it the traceback."""
    trace = text(error)
    if len(trace) > REPORT_MAX:
        trace = "%s\n[…]\n%s" % (trace[:REPORT_MAX // 2], trace[-REPORT_MAX // 2:])
    warn("%s\n%s" % (what, trace.rstrip("\n")))


def warn(message):
    """Writes a line to stderr."""
    try:
        sys.stderr.write(message + "\n")
        sys.stderr.flush()
    except BaseException:
        pass  # nobody reads the log any more, or the app has its own stderr


def _quoted(words, limit, keep_end=False):
    """`words`, percent-encoded in at most `limit` bytes; the end of a traceback tells the most."""
    words = words[-limit:] if keep_end else words[:limit]
    words = words.encode("utf-8", "backslashreplace").decode("utf-8")
    while True:
        encoded = quote(words, safe="")
        excess = len(encoded) - limit
        if excess <= 0:
            return encoded
        # One character takes at most 12 bytes, so this never cuts more than needed by much.
        cut = excess // 12 + 1
        words = words[cut:] if keep_end else words[:-cut]


def field(error):
    """TYPE;MESSAGE;TRACEBACK for the `proxy-exception` field."""
    try:
        message = str(error)
    except BaseException:  # an app's __str__ may raise anything
        message = "(its message cannot be made)"
    kind = _quoted(type(error).__name__, TYPE_BYTES_MAX)
    message = _quoted(message, MESSAGE_BYTES_MAX)
    room = FIELD_BYTES_MAX - len(kind) - len(message) - 2
    return ";".join((kind, message, _quoted(text(error), room, keep_end=True))).encode("ascii")
