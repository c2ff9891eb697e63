"""Arrays of numbers in an HDF5 file that somebody else may have written, or half of it."""

import contextlib
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

from marl_offline.datasets.checks import DataError


@contextlib.contextmanager
def opened(path: pathlib.Path) -> Iterator[Any]:
  """The file, an h5py.File; what HDF5 refuses, at opening or inside a damaged file, becomes one sentence.

  Raises:
    DataError: no HDF5 file, damaged or cut short; or h5py is not installed.
  """
  try:
    import h5py
  except ImportError as error:
    raise DataError(f"{path}: HDF5 is read by h5py: pip install 'marl_offline[public]'") from error
  try:
    with h5py.File(path, "r") as file:
      yield file
  except DataError:
    raise
  except (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError, MemoryError) as error:
    reason = " ".join(str(error).split())[:200]
    raise DataError(f"{path}: cannot be read as HDF5, it is damaged, cut short or none ({reason})") from None


def arrays(path: pathlib.Path, file: Any, keys: Sequence[str], kind: str) -> dict[str, Any]:
  """The keys as h5py.Datasets of numbers, not read yet. kind: what such a file is called, for the sentence.

  Raises:
    DataError: one is missing, or holds no numbers.
  """
  found = {}
  for key in keys:
    one = file.get(key)
    if not hasattr(one, "shape"):  # nothing, or a group
      there = ", ".join(sorted(file)) or "none"
      raise DataError(f"{path}, {key}: is missing; {kind} has {', '.join(keys)}, here are: {there}")
    if one.dtype.kind not in "fiub":
      raise DataError(f"{path}, {key}: holds {one.dtype} where numbers are expected")
    found[key] = one
  return found
