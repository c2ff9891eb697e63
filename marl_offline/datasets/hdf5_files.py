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
  except (OSError, RuntimeError, KeyError) as error:  # the last when it closes a file whose objects are damaged
    raise DataError(f"{path}: cannot be read as HDF5, it is damaged, cut short or none ({_short(error)})") from None


def arrays(path: pathlib.Path, file: Any, keys: Sequence[str], kind: str) -> dict[str, Any]:
  """The keys as h5py.Datasets of numbers, not read yet. kind: what such a file is called, for the sentence.

  Raises:
    DataError: one is missing, or holds no numbers.
  """
  found = {}
  for key in keys:
    try:
      one = file.get(key)
      dtype = getattr(one, "dtype", None)
    except (KeyError, ValueError, TypeError) as error:
      raise DataError(f"{path}, {key}: is damaged or of a type that cannot be read ({_short(error)})") from None
    if dtype is None or not hasattr(one, "shape"):  # nothing, a group, or a type by itself
      there = _short(", ".join(sorted(map(str, file))) or "none")
      raise DataError(f"{path}, {key}: is missing; {kind} has {', '.join(keys)}, here are: {there}")
    if dtype.kind not in "fiub":
      raise DataError(f"{path}, {key}: holds {dtype} where numbers are expected")
    found[key] = one
  return found


def _short(words: object) -> str:
  """One line of what a damaged file made up."""
  return " ".join(str(words).split())[:200]
