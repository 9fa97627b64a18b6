# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of arrays at the boundaries: dtype, shape, finiteness."""

from __future__ import annotations

import numpy as np

from .errors import ErrorCode, MienError

Shape = tuple[int | str, ...]
"""Sizes by axis; a name stands for any size that is the same wherever the name is used."""


def checked_array(
    name: str, value: object, dtype: str, shape: Shape, dims: dict[str, int], code: ErrorCode, remedy: str
) -> np.ndarray:
    """Return `value` as a C-contiguous array of the given dtype after checking it.

    Args:
        name: What to call the array in errors.
        value: Anything `numpy.asarray` takes.
        dtype: Wanted dtype; a cast within the same kind is done (float64 to float32, int64 to int32), any other
            refused.
        shape: Wanted shape; names are bound in `dims` on first use and must agree afterwards.
        dims: Sizes bound so far; extended in place.
        code: Code of the error to raise.
        remedy: Remedy of the error to raise.

    Raises:
        MienError: with `code` for object arrays, a wrong kind, a wrong shape, or values that are not finite.
    """

    def refuse(reason: str, cause: str) -> MienError:
        return MienError(code, f"Array '{name}' {reason}.", remedy, {"array": name, "cause": cause})

    array = np.asarray(value)
    wanted = np.dtype(dtype)
    if array.dtype.kind not in "biuf" or not np.can_cast(array.dtype, wanted, "same_kind"):
        raise refuse(f"has type {array.dtype}, expected {wanted}", "dtype")
    expected = tuple(dims.get(size, size) if isinstance(size, str) else size for size in shape)
    fits = len(expected) == array.ndim and all(
        isinstance(size, str) or size == got for size, got in zip(expected, array.shape, strict=True)
    )
    if not fits:
        wording = "(" + ", ".join(str(size) for size in expected) + ("," if len(expected) == 1 else "") + ")"
        raise refuse(f"has shape {array.shape}, expected {wording}", "shape")
    for size, got in zip(shape, array.shape, strict=True):
        if isinstance(size, str):
            dims[size] = got
    if wanted.kind in "iu" and array.size:
        limits = np.iinfo(wanted)
        if int(array.min()) < limits.min or int(array.max()) > limits.max:
            raise refuse(f"has values outside {wanted}", "range")
    with np.errstate(over="ignore"):  # what overflows becomes infinite and is refused below
        array = np.ascontiguousarray(array, dtype=wanted).reshape(array.shape)
    if wanted.kind == "f" and not np.isfinite(array).all():
        raise refuse("has values that are not finite", "finite")
    return array
