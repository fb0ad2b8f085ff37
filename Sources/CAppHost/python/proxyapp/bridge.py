"""From the frameworks' own signals to the answer: an exception that Flask or Django handles.

They turn an exception into a page and give it to the server as an ordinary answer; only their
signal `got_request_exception` says what happened. So it is connected where one was imported.
"""

import sys

from proxyapp import failure
from proxyapp.connection import current


def connect():
    """Connects to the frameworks that the app has imported."""
    flask = sys.modules.get("flask")
    if flask is not None and hasattr(flask, "got_request_exception"):
        flask.got_request_exception.connect(_flask_exception, weak=False)
    signals = sys.modules.get("django.core.signals")
    if signals is not None:
        signals.got_request_exception.connect(
            _django_exception, weak=False, dispatch_uid="proxyapp")


def _flask_exception(sender, exception=None, **data):
    _note(exception)


def _django_exception(sender, **data):
    exception = sys.exc_info()[1]
    _note(exception)
    if exception is not None:
        # Flask logs it; Django, outside of debugging, mails it to the admins and says nothing here.
        failure.warn(failure.text(exception).rstrip("\n"))


def _note(exception):
    answer = current.get()
    if answer is not None and exception is not None:
        answer.failure = exception
