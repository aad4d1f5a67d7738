#!/usr/bin/env python3
"""Writes Tests/PCDatasetsTests/FormatFixtures.swift: files as TensorBoard's and SciPy's own writers make them.

    pip install tensorboard scipy numpy
    python3 Scripts/make-format-fixtures.py
"""

import base64
import io
import pathlib
import textwrap

import numpy as np
import scipy
import scipy.io
import tensorboard
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

PATH = pathlib.Path(__file__).resolve().parent.parent / "Tests/PCDatasetsTests/FormatFixtures.swift"
fixtures = []


def fixture(name, comment, data, start="", begin=b""):
    """`start` names a fixture that holds the bytes `begin`, with which `data` begins."""
    assert data.startswith(begin)
    text = "\n".join(textwrap.wrap(base64.b64encode(data[len(begin) :]).decode(), 112))
    fixtures.append(
        "  // %s\n  static let %s = %sdecoded(\n%s)\n"
        % (comment, name, start and start + " + ", textwrap.indent('"""\n%s\n"""' % text, "    "))
    )


# Event files: the buckets are found by searching all edges, not by taking numbers apart as the library does.
def histogram(values):
    positive = [2.0**e * (1 + j / 8) for e in range(-40, 12) for j in range(8)]
    edges = np.array(sorted([-x for x in positive] + positive))
    magnitude_first = np.where(values < 0, -np.array(values), values)
    # A bucket has its end nearer to zero, not the other one.
    index = np.where(
        np.array(values) < 0, np.searchsorted(edges, -magnitude_first, "left") - 1, np.searchsorted(edges, values, "right") - 1
    )
    counts = np.bincount(index, minlength=len(edges))
    limits, numbers = [], []
    for place in np.flatnonzero(counts):
        if limits and limits[-1] < edges[place]:
            limits.append(edges[place])
            numbers.append(0)
        limits.append(edges[place + 1])
        numbers.append(counts[place])
    return summary_pb2.HistogramProto(
        min=min(values), max=max(values), num=len(values), sum=sum(values), sum_squares=sum(v * v for v in values),
        bucket_limit=limits, bucket=numbers,
    )


def event(step, **value):
    return event_pb2.Event(wall_time=1.7e9 + 0.5, step=step, summary=summary_pb2.Summary(value=[summary_pb2.Summary.Value(**value)]))


text = summary_pb2.Summary.Value(tag="sample")
text.tensor.dtype = 7
text.tensor.tensor_shape.dim.add().size = 1
text.tensor.string_val.append("To be ✓".encode())
text.metadata.plugin_data.plugin_name = "text"

values = np.array([-1000, -2, -2, -0.5, 0, -0.0, 1e-20, 2.0**-40, 1, 1.1, 1.125, 3])
events = io.BytesIO()
writer = RecordWriter(events)
for entry in [
    event_pb2.Event(wall_time=1.7e9 + 0.5, file_version="brain.Event:2"),
    event(3, tag="loss", simple_value=1.5),
    event(2**40, tag="loss", simple_value=0),
    event(5, tag="messages", histo=histogram(values)),
    event_pb2.Event(wall_time=1.7e9 + 0.5, step=6, summary=summary_pb2.Summary(value=[text])),
]:
    writer.write(entry.SerializeToString())
fixture("events", "An event file: version, two scalars, a histogram, a text.", events.getvalue())


# MATLAB files. Pixel n, channel, row, column of the small pictures is (n + 2 channel + 3 row + 5 column) mod 256.
def mat(variables, compress):
    stream = io.BytesIO()
    scipy.io.savemat(stream, variables, do_compression=compress)
    data = bytearray(stream.getvalue())
    data[:116] = b"MATLAB 5.0 MAT-file".ljust(116)
    return bytes(data)


row, column, channel, n = np.meshgrid(np.arange(32), np.arange(32), np.arange(3), np.arange(3), indexing="ij")
X = ((n + 2 * channel + 3 * row + 5 * column) % 256).astype("uint8")
y = np.array([[10], [1], [9]], "uint8")
pictures = mat({"X": X}, True)
fixture("svhnPictures", "X as above, [32, 32, 3, 3], uint8, compressed.", pictures)
for name, comment, labels in [
    ("svhn", "X; y = [[10], [1], [9]], uint8, compressed.", y),
    ("svhnDoubles", "The same, y as doubles.", y.astype(float)),
    ("svhnBadLabel", "The same, y = [[10], [0], [9]].", np.array([[10], [0], [9]], "uint8")),
    ("svhnFewLabels", "The same, y = [[10], [1]].", y[:2]),
]:
    fixture(name, comment, mat({"X": X, "y": labels}, True), "svhnPictures", pictures)
small = {
    "bytes": np.arange(6, dtype="uint8").reshape(2, 3),
    "doubles": np.array([[1.5, -2]]),
    "long_name_of_words": np.array([[-1], [2**31 - 1]], "int32"),
    "halves": np.array([[300, 2]], "uint16"),
}
fixture("matPlain", "uint8 [[0, 1, 2], [3, 4, 5]], double [[1.5, -2]], int32 [[-1], [2**31 - 1]], uint16 [[300, 2]].", mat(small, False))
fixture("matPacked", "The same, compressed.", mat(small, True))
fixture("matText", "A variable that is text.", mat({"text": "words", "after": np.array([[7.0]])}, False))

PATH.write_text(
    "// Written by Scripts/make-format-fixtures.py (tensorboard %s, scipy %s), in base64.\n\nimport Foundation\n\n"
    % (tensorboard.__version__, scipy.__version__)
    + "enum FormatFixtures {\n"
    + "\n".join(fixtures)
    + "\n  private static func decoded(_ base64: String) -> [UInt8] {\n"
    + "    Array(Data(base64Encoded: base64, options: .ignoreUnknownCharacters) ?? Data())\n  }\n}\n"
)
