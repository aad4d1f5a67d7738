#!/usr/bin/env python3
"""Writes small files of every format that is read from outside, one folder a format, as seeds for Scripts/fuzz.sh.

Only the standard library, so that it runs anywhere; the bytes follow the formats' published descriptions.
"""
import gzip
import io
import json
import struct
import sys
import zipfile
import zlib
from pathlib import Path

root = Path(sys.argv[1])


def seed(parser, name, data):
    folder = root / parser
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def npy(descr, shape, data, version=1):
    header = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode()
    size = "<H" if version == 1 else "<I"
    start = 8 + struct.calcsize(size)
    header += b" " * (-(start + len(header) + 1) % 64) + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack(size, len(header)) + header + data


seed("npy", "floats", npy("<f4", (2, 3), struct.pack("<6f", *range(6))))
seed("npy", "doubles", npy("<f8", (), struct.pack("<d", 0.5), version=2))
seed("npy", "bytes", npy("|u1", (4,), b"\x00\x01\x02\x03"))
seed("npy", "flags", npy("|b1", (2,), b"\x00\x01"))


def npz(method, **arrays):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in arrays.items():
            archive.writestr(zipfile.ZipInfo(name + ".npy"), data, method)
    return stream.getvalue()


x = npy("<f4", (3, 2), struct.pack("<6f", *range(6)))
y = npy("|u1", (3,), b"\x00\x01\x01")
seed("npz", "stored", npz(zipfile.ZIP_STORED, x=x, y=y))
seed("npz", "deflated", npz(zipfile.ZIP_DEFLATED, x=x, y=y))
seed("npz", "parts", npz(zipfile.ZIP_DEFLATED, x_train=x, y_train=y, x_test=x, y_test=y))

seed("csv", "plain", b"1,2.5,0\n-3e1,4,1\n5,6,1\n")
seed("csv", "heading", b"b,\"a\",c\r\n1 ,0,2\r\n\r\n3,1,\"4\"\r\n5,0,6")


def safetensors(arrays, metadata=None):
    header, data = {}, b""
    if metadata:
        header["__metadata__"] = metadata
    for name, (dtype, shape, values) in arrays.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(values)]}
        data += values
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


weights = {"layer.weight": ("F32", [2, 2], struct.pack("<4f", 1, 2, 3, 4)), "n": ("I64", [1], struct.pack("<q", 7))}
seed("safetensors", "weights", safetensors(weights))
seed("safetensors", "metadata", safetensors(weights, {"format": "pt", "quote": 'a "\u00e9"\n'}))
seed("checkpoint", "state", safetensors(weights, {"format": "swift-predictive-coding 1", "state": '{"updateCount":3}'}))


def idx(magic, shape, data):
    return struct.pack(f">{1 + len(shape)}I", magic, *shape) + data


images = idx(0x803, (2, 3, 3), bytes(range(18)))
labels = idx(0x801, (2,), b"\x00\x01")
for name, pack in [("plain", bytes), ("packed", lambda data: gzip.compress(data, mtime=0))]:
    first, second = pack(images), pack(labels)
    seed("idx", name, bytes([round(255 * len(first) / (len(first) + len(second)))]) + first + second)


def element(kind, data):
    return struct.pack("<II", kind, len(data)) + data + b"\x00" * (-len(data) % 8)


def matrix(name, kind, shape, data, code):
    return element(14, element(6, struct.pack("<II", code, 0)) + element(5, struct.pack(f"<{len(shape)}i", *shape))
                   + element(1, name) + element(kind, data))


head = b"MATLAB 5.0 MAT-file".ljust(116) + b"\x00" * 8 + struct.pack("<H", 0x100) + b"IM"
x = matrix(b"X", 2, (2, 2, 3, 1), bytes(range(12)), 9)
y = matrix(b"y", 9, (1, 1), struct.pack("<d", 10), 6)
seed("mat", "plain", head + x + y)
packed = zlib.compress(x)
seed("mat", "packed", head + struct.pack("<II", 15, len(packed)) + packed)

seed("text", "plain", "To be, or not to be: that is the question.\nWhether 'tis nobler\n".encode())
seed("text", "accents", "na\u00efve caf\u00e9 \U0001f600 e\u0301 \r\n".encode() * 2)
