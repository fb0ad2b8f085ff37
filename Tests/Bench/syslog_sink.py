"""Takes datagrams from a Unix socket and forgets them."""

import socket
import sys

sink = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
sink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
sink.bind(sys.argv[1])
while True:
    sink.recv(65536)
