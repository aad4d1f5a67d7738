"""Products and convolutions by OpenBLAS or oneDNN, as a process that is told when to work.

Usage: peer_kernels.py FOLDER    (`pip install torch numpy`; OpenBLAS as the system's libopenblas.so.0)

FOLDER holds `case.json`: what is multiplied, for whom, and how often in a turn. `steps N` on standard input answers with
the seconds of N turns, as JSON. Of oneDNN the copy within PyTorch is taken: for products by its fused linear operation on
weights packed beforehand, for convolutions in channels_last, its faster format.
"""

import ctypes
import os

import peer
from peer import case

import numpy as np


def openblas():
    # On processors that it does not know OpenBLAS falls back on kernels for old ones.
    with open("/proc/cpuinfo") as info:
        flags = next((line.split() for line in info if line.startswith("flags")), [])
    if "avx512dq" in flags and "avx512vl" in flags:
        os.environ.setdefault("OPENBLAS_CORETYPE", "SkylakeX")
    library = ctypes.CDLL("libopenblas.so.0")
    m, k, n = case["shape"]
    is_gradient = case["kind"] == "gradient"
    a = np.random.rand(*((k, m) if is_gradient else (m, k))).astype(np.float32)
    b = np.random.rand(k, n).astype(np.float32)
    c = np.zeros((m, n), np.float32)
    pointers = [x.ctypes.data_as(ctypes.POINTER(ctypes.c_float)) for x in (a, b, c)]
    row_major, plain, transposed = 101, 111, 112
    one, zero = ctypes.c_float(1), ctypes.c_float(0)

    def work():
        library.cblas_sgemm(
            row_major, transposed if is_gradient else plain, plain, m, n, k, one, pointers[0], m if is_gradient else k,
            pointers[1], n, zero, pointers[2], n)

    work.keep = (a, b, c)
    return work


def onednn():
    import torch

    torch.set_num_threads(case["threads"])
    torch.set_grad_enabled(False)
    if case["kind"] == "product":
        m, k, n = case["shape"]
        x, weight = torch.rand(m, k), torch.rand(n, k)
        packed = torch.ops.mkldnn._reorder_linear_weight(weight, m)
        return lambda: torch.ops.mkldnn._linear_pointwise(x, packed, None, "none", [], "")
    if case["kind"] == "gradient":
        m, k, n = case["shape"]
        x, message = torch.rand(k, m), torch.rand(k, n)
        weight = message.t().contiguous()
        return lambda: torch.ops.mkldnn._linear_pointwise(x.t(), weight, None, "none", [], "")
    last = torch.channels_last
    image = torch.rand(case["image"]).contiguous(memory_format=last)
    filters = torch.rand(case["filter"]).contiguous(memory_format=last)
    stride, padding = [case["stride"]] * 2, [case["padding"]] * 2
    message = torch.nn.functional.conv2d(image, filters, None, stride, padding)
    if case["kind"] == "convolution":
        return lambda: torch.nn.functional.conv2d(image, filters, None, stride, padding)
    wanted = [case["kind"] == "input gradient", case["kind"] == "filter gradient", False]
    return lambda: torch.ops.aten.convolution_backward(
        message, image, filters, None, stride, padding, [1, 1], False, [0, 0], 1, wanted)


work = {"openblas": openblas, "onednn": onednn}[case["library"]]()


def turn():
    for _ in range(case["repetitions"]):
        work()


peer.serve(turn)
