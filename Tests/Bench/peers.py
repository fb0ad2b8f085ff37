"""The proxies that are measured, each with the configuration that the report prints.

All have their access log on, keep connections to the upstream, listen by themselves with one worker, and use 64 KiB
buffers; the proxy runs with its logs, metrics and signals as they are by default.
"""

import os
import socket
from dataclasses import dataclass
from pathlib import Path

import processes

TREE = Path(__file__).resolve().parents[2]
BINARY = os.environ.get("PROXY_BINARY", str(TREE / ".build/release/proxy"))
CONNECTIONS = 4000


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@dataclass
class Site:
    """What all peers are given: where to work, what to forward to, and the certificate to show."""

    folder: Path
    upstream: str  # host:port, or unix:PATH
    certificate: Path
    key: Path

    @property
    def is_unix(self):
        return self.upstream.startswith("unix:")


class Peer:
    """One proxy, running on its core; `plain` and `tls` are its ports."""

    name, environment = "", None

    def __init__(self, site):
        self.plain, self.tls = free_port(), free_port()
        self.folder = site.folder / self.name
        self.folder.mkdir(exist_ok=True)
        self.folder.chmod(0o777)
        self.file = self.folder / self.file_name
        self.file.write_text(self.configuration(site))
        self.process = processes.start(self.command(), processes.PROXY_CORE, self.folder, env=self.environment)
        try:
            for port in (self.plain, self.tls):
                processes.wait_for_port(port, self.process)
        except BaseException:
            self.stop()
            raise

    def pids(self):
        return processes.tree(self.process.pid)

    def stop(self):
        processes.stop(self.process)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        for log in self.folder.glob("access*"):
            log.unlink()


class Proxy(Peer):
    name, file_name = "proxy", "proxy.yaml"

    def command(self):
        return [BINARY, "--conf", self.file]

    def configuration(self, site):
        upstream = site.upstream if site.is_unix else f"http://{site.upstream}"
        return f"""\
listen: ["http://127.0.0.1:{self.plain}", "https://127.0.0.1:{self.tls}"]
edges: 1
directories: {{ runtime: {self.folder}/run, state: {self.folder}/state, spool: {self.folder}/spool }}
limits: {{ connections: {CONNECTIONS}, connections_per_address: {CONNECTIONS}, body: 1GiB }}
tls: {{ certificates: [{{ certificate: {site.certificate}, key: {site.key} }}] }}
services:
  backend:
    upstreams: ["{upstream}"]
    pool: {{ size: 1024 }}
logs: {{ access: {{ path: {self.folder}/access.json }} }}
"""


class Nginx(Peer):
    name, file_name = "nginx", "nginx.conf"

    def command(self):
        return ["nginx", "-c", self.file]

    def configuration(self, site):
        upstream = site.upstream
        return f"""\
daemon off;
pid {self.folder}/pid;
error_log {self.folder}/error.log warn;
worker_processes 1;
worker_rlimit_nofile {CONNECTIONS * 2 + 100};
events {{ worker_connections {CONNECTIONS * 2}; multi_accept on; }}
http {{
  access_log {self.folder}/access.log combined buffer=64k flush=1s;
  sendfile on; tcp_nopush on;
  keepalive_requests 1000000000; keepalive_timeout 60s;
  client_body_temp_path {self.folder}; proxy_temp_path {self.folder};
  fastcgi_temp_path {self.folder}; uwsgi_temp_path {self.folder}; scgi_temp_path {self.folder};
  client_max_body_size 1g;
  proxy_buffer_size 64k; proxy_buffers 8 64k; proxy_busy_buffers_size 128k;
  upstream backend {{ server {upstream}; keepalive 1024; keepalive_requests 1000000000; }}
  ssl_certificate {site.certificate}; ssl_certificate_key {site.key};
  ssl_protocols TLSv1.2 TLSv1.3; ssl_session_tickets on; ssl_session_cache shared:s:10m;
  server {{
    listen 127.0.0.1:{self.plain} reuseport backlog=4096;
    listen 127.0.0.1:{self.tls} ssl reuseport backlog=4096;
    location / {{
      proxy_pass http://backend;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Request-Id $request_id;
    }}
  }}
}}
"""


class HAProxy(Peer):
    name, file_name = "haproxy", "haproxy.cfg"

    def __init__(self, site):
        # It logs by datagrams; somebody has to take them, as syslog would, and that costs the other core.
        self.sink_path = site.folder / "syslog"
        self.sink_path.unlink(missing_ok=True)
        self.sink = processes.start(
            ["python3", Path(__file__).with_name("syslog_sink.py"), self.sink_path], processes.OTHER_CORE, site.folder)
        while not self.sink_path.exists():
            if self.sink.poll() is not None:
                raise RuntimeError("the log sink has ended")
        super().__init__(site)

    def command(self):
        return ["haproxy", "-f", self.file, "-db"]

    def stop(self):
        super().stop()
        processes.stop(self.sink)

    def configuration(self, site):
        both = self.folder / "both.pem"
        both.write_text(site.certificate.read_text() + site.key.read_text())
        upstream = f"unix@{site.upstream[5:]}" if site.is_unix else site.upstream
        return f"""\
global
  nbthread 1
  maxconn {CONNECTIONS}
  log {self.sink_path} len 2048 local0
  tune.bufsize 65536
  tune.pool-low-fd-ratio 80
  ssl-default-bind-options ssl-min-ver TLSv1.2
defaults
  mode http
  log global
  option httplog
  option http-keep-alive
  option splice-auto
  http-reuse always
  timeout connect 2s
  timeout client 60s
  timeout server 60s
frontend front
  bind 127.0.0.1:{self.plain} backlog 4096
  bind 127.0.0.1:{self.tls} ssl crt {both} backlog 4096
  option forwardfor
  http-request set-header X-Forwarded-Proto https if {{ ssl_fc }}
  unique-id-format %{{+X}}o%ci%cp%rt
  unique-id-header X-Request-Id
  default_backend backend
backend backend
  server one {upstream} pool-max-conn 1024
"""


PEERS = {peer.name: peer for peer in (Proxy, Nginx, HAProxy)}
