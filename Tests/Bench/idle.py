"""Opens idle keep-alive connections, each after one request, and holds them: PORT FEW MANY ROOT|plain.

Prints `open` when FEW are there, reads a line, and prints `open` again when MANY more are there too.
"""

import socket
import ssl
import sys

port, few, many, root = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
context = None if root == "plain" else ssl.create_default_context(cafile=root)
held = []
for count in (few, many):
    for _ in range(count):
        connection = socket.create_connection(("127.0.0.1", port))
        if context:
            connection = context.wrap_socket(connection, server_hostname="localhost")
        connection.sendall(b"GET /128 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = b""
        while not answer.endswith(b"x" * 128):
            piece = connection.recv(65536)
            assert piece, "closed"
            answer += piece
        held.append(connection)
    print("open", flush=True)
    sys.stdin.readline()
