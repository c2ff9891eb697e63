"""One array of numbers in one .npy file that somebody else may have written, or half of it."""

import os
import pathlib

import numpy as np

from marl_offline.datasets.checks import DataError


def open_array(path: pathlib.Path, needed: str, mmap: bool = True, by_columns: bool = False) -> np.ndarray:
  """The array in a .npy file; its header is believed only as far as the file is long. Never unpickles.

  Args:
    path: the file.
    needed: a clause on what it should be, for where it is missing.
    mmap: leaves it on disk, memory-mapped.
    by_columns: takes an array stored column by column too.

  Raises:
    DataError: missing, unreadable, no .npy file, cut short or too long, or pickled Python objects.
  """
  try:
    with path.open("rb") as file:
      shape, fortran_order, dtype = _read_header(path, file)
      offset, size = file.tell(), os.fstat(file.fileno()).st_size
      if dtype.hasobject:
        raise DataError(f"{path}: holds pickled Python objects where plain numbers are expected; it was not opened")
      if fortran_order and not by_columns:
        raise DataError(f"{path}: is stored column by column where row by row is expected (np.ascontiguousarray)")
      expected = offset + dtype.itemsize * int(np.prod(shape, dtype=object))
      if size != expected:
        what = "is cut short" if size < expected else "is too long"
        raise DataError(f"{path}: {what}, {size} bytes where its header (shape {shape}, {dtype}) needs {expected}")
      if expected == offset:
        return np.zeros(shape, dtype)
      order = "F" if fortran_order else "C"
      if mmap:
        return np.memmap(path, dtype, "r", offset, shape, order)
      return np.fromfile(file, dtype).reshape(shape, order=order)
  except FileNotFoundError:
    raise DataError(f"{path}: is missing; {needed}") from None
  except OSError as error:
    raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None


def _read_header(path: pathlib.Path, file) -> tuple[tuple[int, ...], bool, np.dtype]:
  try:
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    return read[np.lib.format.read_magic(file)](file)
  except Exception as error:  # whatever a broken header makes the parser raise, the fact is the same
    raise DataError(f"{path}: has no readable .npy header ({type(error).__name__})") from None
