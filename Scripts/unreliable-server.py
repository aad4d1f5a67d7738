#!/usr/bin/env python3
"""A server for the tests of downloads that misbehaves by the path's first part; prints its port, ends with its input.

    good       as asked, ranges too
    truncate   ends each answer after 1000 bytes, though it announced more; ranges are honoured
    norange    like truncate, at the first request alone, and then answers with everything whatever the range
    corrupt    one byte is another
    longer     more bytes than there are
    stall      stops sending after 500 bytes, at the first request; then as good
    redirect   leads to good
    circle     leads to itself
    missing    404
    file       leads to a file of the machine

The body of PATH/N is N bytes, byte i being (i * i + i // 256) mod 251. Requests are written to standard error, with their ranges.
"""
import http.server
import os
import sys
import threading
import time


def body(count):
    return bytes((i * i + i // 256) % 251 for i in range(count))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"
    seen = {}

    def do_GET(self):
        _, how, number = self.path.split("/")
        data = body(int(number))
        times = self.seen[how] = self.seen.get(how, 0) + 1
        asked = self.headers.get("Range")
        sys.stderr.write("%s %s\n" % (self.path, asked))
        if how in ("redirect", "circle", "file"):
            self.send_response(302)
            target = {"redirect": "/good/" + number, "circle": self.path, "file": "file:///etc/hostname"}[how]
            self.send_header("Location", target)
            self.end_headers()
            return
        if how == "missing":
            self.send_error(404)
            return
        if how == "corrupt":
            data = data[:7] + bytes([data[7] ^ 1]) + data[8:]
        if how == "longer":
            data += b"more"
        start = 0
        if asked and how != "norange":
            start = int(asked.split("=")[1].split("-")[0])
            if start >= len(data):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", "bytes %d-%d/%d" % (start, len(data) - 1, len(data)))
        else:
            self.send_response(200)
        part = data[start:]
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        if how == "truncate" or how == "norange" and times == 1:
            part = part[:1000]
        if how == "stall" and times == 1:
            self.wfile.write(part[:500])
            self.wfile.flush()
            time.sleep(20)
            return
        self.wfile.write(part)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_address[1], flush=True)
sys.stdin.read()
os._exit(0)
