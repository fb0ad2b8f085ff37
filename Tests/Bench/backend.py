"""What is behind every proxy: nginx on the other core, answering from memory, on TCP and on a Unix socket."""

import os

import peers
import processes

SIZES = {"128": 128, "10k": 10_000, "1m": 1_000_000, "100m": 100_000_000}
# Longer answers do not fit nginx's configuration and are files.
IN_CONFIGURATION = 1000


class Backend:
    def __init__(self, folder):
        self.port = peers.free_port()
        self.path = folder / "backend.sock"
        self.path.unlink(missing_ok=True)
        files = folder / "files"
        files.mkdir(exist_ok=True)
        for name, size in SIZES.items():
            if size > IN_CONFIGURATION:
                (files / name).write_bytes(b"x" * size)
        (folder / "backend.conf").write_text(self._configuration(folder, files))
        os.chmod(files, 0o755)
        self.process = processes.start(["nginx", "-c", folder / "backend.conf"], processes.OTHER_CORE, folder)
        processes.wait_for_port(self.port, self.process)

    def _configuration(self, folder, files):
        small = "".join(
            f'    location = /{name} {{ return 200 "{"x" * size}"; }}\n' for name, size in SIZES.items() if size <= IN_CONFIGURATION)
        return f"""\
daemon off;
pid {folder}/backend.pid;
error_log {folder}/backend-error.log warn;
worker_processes 1;
events {{ worker_connections 16384; multi_accept on; }}
http {{
  access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; default_type application/octet-stream;
  keepalive_requests 1000000000; keepalive_timeout 600s;
  open_file_cache max=10;
  client_body_temp_path {folder}; proxy_temp_path {folder};
  fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{
    listen 127.0.0.1:{self.port} backlog=4096;
    listen unix:{self.path} backlog=4096;
    root {files};
{small}  }}
}}
"""

    def stop(self):
        processes.stop(self.process)

    def address(self, unix):
        return f"unix:{self.path}" if unix else f"127.0.0.1:{self.port}"
