"""What a scenario is made of: a scripted client, the real binary, a scripted server."""

import os

import pytest

from harness.load import Load
from harness.proxy_process import BINARY, Proxy, run_proxy
from harness.scripted_server import ScriptedServer, answering, answering_once, closing_at_once, held, silent
from harness.wire import Client, Message, Stream, chunked, request

__all__ = [
    "BINARY", "Client", "Load", "Message", "Proxy", "ScriptedServer", "Stream", "answering", "answering_once", "chunked",
    "closing_at_once", "held", "looks_into_edges", "request", "run_proxy", "silent",
]

# Descriptors and counts of an edge, which is not dumpable, are in root's part of /proc.
looks_into_edges = pytest.mark.skipif(os.getuid() != 0, reason="only root may look into edges")
