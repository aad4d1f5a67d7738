#!/usr/bin/env python3
"""Writes Tests/PCDatasetsTests/ArrayFixtures.swift: archives of arrays as NumPy's own writer makes them.

    pip install numpy
    python3 Scripts/make-array-fixtures.py
"""

import base64
import io
import pathlib
import textwrap

import numpy as np

PATH = pathlib.Path(__file__).resolve().parent.parent / "Tests/PCDatasetsTests/ArrayFixtures.swift"


def npz(save, **arrays):
    stream = io.BytesIO()
    save(stream, **arrays)
    return stream.getvalue()


x = (17 * np.arange(4 * 2 * 3) % 256).astype("uint8").reshape(4, 2, 3)
parts = {
    "x_train": x.reshape(4, 1, 2, 3) / 2,
    "y_train": np.array([[2], [0], [1], [2]], "int32"),
    "x_test": x[:1].reshape(1, 1, 2, 3) / 2,
    "y_test": np.array([[0]], "uint8"),
}
fixtures = [
    ("stored", "x = 17 i mod 256, i = 0, 1, …, as [4, 2, 3], uint8; y = [2, 0, 1, 2], int64.", npz(np.savez, x=x, y=np.array([2, 0, 1, 2]))),
    (
        "deflated",
        "x_train = x / 2 as [4, 1, 2, 3], float64, y_train = y as [4, 1], int32; x_test the first of it, y_test = [[0]], uint8.",
        npz(np.savez_compressed, **parts),
    ),
]
text = "// Written by Scripts/make-array-fixtures.py (numpy %s), in base64.\n\nimport Foundation\n\nenum ArrayFixtures {\n" % np.__version__
for name, comment, data in fixtures:
    lines = "\n".join(textwrap.wrap(base64.b64encode(data).decode(), 112))
    text += "  // %s\n  static let %s = decoded(\n%s)\n\n" % (comment, name, textwrap.indent('"""\n%s\n"""' % lines, "    "))
PATH.write_text(
    text
    + "  private static func decoded(_ base64: String) -> [UInt8] {\n"
    + "    Array(Data(base64Encoded: base64, options: .ignoreUnknownCharacters) ?? Data())\n  }\n}\n"
)
