# SPDX-License-Identifier: GPL-3.0-or-later
"""Arrays that are still in the file they came from, so that gigabytes are looked through and converted one by one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import numpy as np


class Readable(Protocol):
    """An array that can be had.

    Attributes:
        shape: Its lengths.
        dtype: What it holds.
    """

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype: ...

    def read(self) -> np.ndarray:
        """All of it."""


class StoredArray:
    """An array in an open file.

    Attributes:
        shape: Its lengths, as the file says.
        dtype: What it holds.
    """

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype, read: Callable[[], np.ndarray]) -> None:
        self.shape = shape
        self.dtype = dtype
        self._read = read

    @property
    def nbytes(self) -> int:
        """Its size in memory."""
        return math.prod(self.shape) * self.dtype.itemsize

    def read(self) -> np.ndarray:
        """All of it.

        Raises:
            MienError: The file is damaged.
            ValueError: A programming error: the file was closed.
        """
        return self._read()


class MadeArray:
    """An array that is worked out from others when it is wanted.

    Attributes:
        shape, dtype: Of the result.
    """

    def __init__(self, shape: tuple[int, ...], dtype: type, make: Callable[[], np.ndarray]) -> None:
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self._make = make

    def read(self) -> np.ndarray:
        """The result, in `dtype`."""
        return np.asarray(self._make(), self.dtype)


class HeldArray:
    """An array in memory, as one that can be read.

    Attributes:
        shape, dtype: Of the array.
    """

    def __init__(self, array: np.ndarray) -> None:
        self.shape = array.shape
        self.dtype = array.dtype
        self._array = array

    def read(self) -> np.ndarray:
        """The array itself."""
        return self._array


def readable(array: np.ndarray | Readable) -> Readable:
    """An array in memory or in a file, as one that can be read."""
    return HeldArray(np.asarray(array)) if isinstance(array, np.ndarray | np.generic) else array
