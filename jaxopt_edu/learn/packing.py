"""Arrays for a page: quantized, predicted from their neighbours, split into byte planes, deflated.

The reader in the page (`decode` in page/runtime.js) undoes it with the browser's own inflate.
"""

import base64
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np


def pack(x: Any, bits: int = 16, axes: Sequence[int] = ()) -> dict[str, Any]:
    """An array of numbers as JSON.

    Formula: codes 0, ..., 2^bits - 2 stand for the numbers from the least to the greatest, the last
        for what is not finite; along each of the axes the codes are replaced by their differences,
        which are small; those of both signs become 0, -1, 1, -2, ... -> 0, 1, 2, 3, ...
    Exactness: half of (greatest - least) / (2^bits - 2).
    Errors: ValueError unless bits is 8 or 16.
    """
    if bits not in (8, 16):
        raise ValueError(f"bits = {bits}: wanted 8 or 16")
    x = np.asarray(x, float)
    finite = np.isfinite(x)
    low = float(x[finite].min()) if finite.any() else 0.0
    high = float(x[finite].max()) if finite.any() else 0.0
    top = 2**bits - 1
    scaled = (np.where(finite, x, low) - low) / (high - low or 1.0) * (top - 1)
    codes = np.where(finite, np.round(scaled), top).astype(np.int64)
    for axis in axes:
        codes = np.diff(codes, axis=axis, prepend=0)
    codes &= top
    codes = np.where(codes <= top // 2, 2 * codes, 2 * (top - codes) + 1)
    planes = [codes & 255, codes >> 8][: bits // 8]
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    raw = deflate.compress(b"".join(p.astype(np.uint8).tobytes() for p in planes))
    text = base64.b64encode(raw + deflate.flush()).decode()
    about = {"shape": list(x.shape), "bits": bits, "axes": list(axes), "low": low, "high": high}
    return about | {"data": text}
