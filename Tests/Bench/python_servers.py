"""The rows of Python apps behind HTTPS: ours, nginx with uWSGI, nginx with gunicorn, and granian, each with two workers.

All of a stack's processes share the one core that the proxies are measured on. Every stack logs every request to a
file: ours and nginx in their buffered access log (the server behind nginx then has no need to), granian, which stands
alone, by `--access-log`, to its standard output as is its default.

Settings that were tried and are not used: granian with one blocking thread (slower: each request then changes threads)
or with `--runtime-mode mt` (no faster), gunicorn's sync workers and 1, 2 or 16 threads, uWSGI's `--thunder-lock` and
`--single-interpreter` (no difference).
"""

import sys
from pathlib import Path

import load
import peers
import processes
from rows import SECONDS, WARM_UP, Row, per_request

WORKERS = 2
APPS = {
    "raw_hello": 'def app(environ, start_response):\n'
           '    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "12")])\n'
           '    return [b"hello, world"]\n',
    "flask_hello": 'from flask import Flask\n\napp = Flask(__name__)\n\n\n@app.get("/")\ndef index():\n    return "hello, world"\n',
}
BIN = Path(sys.prefix) / "bin"


class PythonProxy(peers.Proxy):
    name = "proxy-python"

    def configuration(self, site):
        return f"""\
listen: ["http://127.0.0.1:{self.plain}", "https://127.0.0.1:{self.tls}"]
edges: 1
user: root
directories: {{ runtime: {self.folder}/run, state: {self.folder}/state, spool: {self.folder}/spool }}
tls: {{ certificates: [{{ certificate: {site.certificate}, key: {site.key} }}] }}
services:
  web: {{ app: "{site.upstream}:app", dir: {site.folder}, python: {sys.prefix}, workers: {WORKERS} }}
logs: {{ access: {{ path: {self.folder}/access.json }} }}
""".replace("user: root\n", "user: root\n" if Path("/proc/self").stat().st_uid == 0 else "")


class BehindNginx(peers.Nginx):
    """nginx in front of a server on a Unix socket; `passing` is what its location says."""

    passing = ""

    def __init__(self, site):
        folder = site.folder / self.name
        folder.mkdir(exist_ok=True)
        folder.chmod(0o777)
        self.socket = folder / "app.sock"
        self.socket.unlink(missing_ok=True)
        self.app = processes.start(self.server(site), processes.PROXY_CORE, site.folder, cwd=site.folder)
        super().__init__(site)

    def configuration(self, site):
        text = super().configuration(peers.Site(site.folder, f"unix:{self.socket}", site.certificate, site.key))
        start, end = text.index("      proxy_pass"), text.index("    }\n  }\n}")
        return text[:start] + self.passing + text[end:]

    def pids(self):
        return super().pids() + processes.tree(self.app.pid)

    def stop(self):
        super().stop()
        processes.stop(self.app)


class NginxUWSGI(BehindNginx):
    name = "nginx-uwsgi"
    passing = "      include /etc/nginx/uwsgi_params;\n      uwsgi_pass backend;\n"

    def server(self, site):
        return ["uwsgi", "--plugin", "python3", "--virtualenv", sys.prefix, "--master", "--processes", WORKERS,
                "--socket", self.socket, "--chmod-socket=666", "--listen", "100", "--module", f"{site.upstream}:app",
                "--disable-logging", "--die-on-term"]


class NginxGunicorn(BehindNginx):
    name = "nginx-gunicorn"
    passing = (
        "      proxy_pass http://backend;\n      proxy_http_version 1.1;\n      proxy_set_header Connection \"\";\n"
        "      proxy_set_header Host $host;\n      proxy_set_header X-Forwarded-Proto $scheme;\n")

    def server(self, site):
        return [BIN / "gunicorn", "--workers", WORKERS, "--worker-class", "gthread", "--threads", "4", "--umask", "0",
                "--worker-tmp-dir", "/dev/shm", "--bind", f"unix:{self.socket}", f"{site.upstream}:app"]


class Granian(peers.Peer):
    name, file_name = "granian", "command.txt"

    def configuration(self, site):
        key = self.folder / "pkcs8.key"
        processes.run(["openssl", "pkcs8", "-topk8", "-nocrypt", "-in", site.key, "-out", key])
        self.plain = self.tls
        self.arguments = [
            BIN / "granian", "--interface", "wsgi", "--workers", WORKERS, "--host", "127.0.0.1", "--port", self.tls, "--http", "1",
            "--backlog", "1024", "--access-log", "--ssl-certificate", site.certificate, "--ssl-keyfile", key, "--working-dir", site.folder,
            f"{site.upstream}:app"]
        return " ".join(map(str, self.arguments)) + "\n"

    def command(self):
        return self.arguments


PEERS = {peer.name: peer for peer in (PythonProxy, NginxUWSGI, NginxGunicorn, Granian)}


class Apps(Row):
    group = "python"

    def __init__(self, app, connections):
        self.app, self.connections = app, connections
        super().__init__(f"python {app.replace('_', ' ')} TLS c{connections}")

    def measure(self, peer, bench):
        url = f"https://localhost:{peer.tls}/"
        load.until_answered(url)
        load.for_seconds(url, self.connections, WARM_UP)
        slowest = []

        def action():
            count, seconds, percentile = load.for_seconds(url, self.connections, SECONDS)
            slowest.append(percentile)
            return count, seconds
        return {**per_request(peer, action), "p99": slowest[0] * 1e3}


def all_rows():
    return [Apps("raw_hello", 16), Apps("flask_hello", 16)]
