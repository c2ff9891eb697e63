"""Our format on disk: a folder with one .npy per field beside card.json. No pickles, memory-mappable.

  card = storage.save("data/mine-medium-v1", storage.from_episodes(my_episodes), task="mine", quality="medium",
                      version="v1")
  episodes, card = storage.load("data/mine-medium-v1")

The next observation of a row is the next row's, or the episode's final one; it is stored nowhere twice, so it continues
by construction. A folder is complete when it has its name: save writes beside it and renames last.
"""

import contextlib
import errno
import glob
import hashlib
import json
import os
import pathlib
import re
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from marl_offline.datasets import cards, checks, npy_files
from marl_offline.datasets.cards import require_match
from marl_offline.datasets.checks import DataError
from marl_offline.datasets.episodes import Episodes, check, from_arrays, from_episodes

__all__ = ["DataError", "Episodes", "check", "examine", "find", "folder_of", "from_arrays", "from_episodes", "load"]
__all__ += ["require_match", "save"]

CARD = "card.json"
STALE_SECONDS = 24 * 60 * 60


def folder_of(data_dir: str | os.PathLike, task: str, quality: str, version: str) -> pathlib.Path:
  """Where a data set lies: <data_dir>/<task>-<quality>-<version>."""
  return pathlib.Path(data_dir) / f"{task}-{quality}-{version}"


def find(data_dir: str | os.PathLike, task: str, quality: str, version: str | None = None) -> pathlib.Path:
  """The folder of a data set.

  Without a version the newest that is plainly numbered: v10 after v9. Others, such as v1.seed3 or mine, are only found
  by their name.

  Raises:
    DataError: there is none; the message lists the data sets that are there.
  """
  there = sorted(path.parent.name for path in pathlib.Path(data_dir).glob(f"*/{CARD}") if path.parent.name[0] != ".")
  name = f"{task}-{quality}-{version}" if version else newest(there, task, quality)
  if name not in there:
    asked = name or f"{task}-{quality}"
    raise DataError(f"{data_dir}: holds no data set {asked}; there are {', '.join(there) or 'none'}")
  return pathlib.Path(data_dir) / name


def newest(names: Iterable[str], task: str, quality: str) -> str | None:
  """The newest of the names `<task>-<quality>-v<number>`, v10 after v9; None where none has that form."""
  of_it = re.escape(f"{task}-{quality}-") + r"v\d+"
  numbered = [name for name in names if re.fullmatch(of_it, name)]
  return max(numbered, key=lambda name: int(name.rpartition("-v")[2]), default=None)


# ---- writing --------------------------------------------------------------------------------------------------------


def save(
  folder: str | os.PathLike,
  episodes: Episodes,
  *,
  task: str,
  quality: str,
  version: str,
  environment: dict[str, Any] | None = None,
  policies=(),
  seed: int | None = None,
  source: str = "",
  licence: str = "",
  origin: str = "collected",
  extra: dict[str, Any] | None = None,
  normalized_mean: float | None = None,
) -> dict[str, Any]:
  """Writes a data set and returns its card. All or nothing: the folder has its name only when it is complete.

  environment holds name, version and observation_hash of where the data was made, or is None; extra goes into the card
  beside the keys of the format.

  Raises:
    DataError: the data is faulty, the folder exists, a card value is no JSON, or the disk refuses. Nothing is left.
  """
  folder = pathlib.Path(folder).absolute()
  _refuse_existing(folder)
  check(episodes)
  if isinstance(policies, str):
    raise DataError(f"{CARD}: policies is {policies!r}; a list of what acted is expected")
  card = {"name": f"{task}-{quality}-{version}", "task": task, "quality": quality, "version": version}
  card |= {"origin": origin, "source": source, "environment": environment, "policies": list(policies), "seed": seed}
  card |= cards.measure(episodes)
  card |= {"normalized_mean": normalized_mean, "licence": licence, "format": cards.FORMAT}
  card |= {"sha256": dict.fromkeys(episodes.arrays(), "")}
  if taken := sorted(set(extra or {}) & set(card)):
    raise DataError(f"card.json, extra: {taken[0]!r} is a key of the format itself; give it another name")
  card |= extra or {}
  for fault in cards.faults(card):
    raise DataError(f"{CARD}: {fault}")
  cards.to_json(card)  # refused now rather than after writing the arrays
  _sweep(folder)
  partial = folder.parent / f".{folder.name}.partial-{uuid.uuid4().hex[:8]}"
  try:
    partial.mkdir(parents=True)
    for name, array in episodes.arrays().items():
      card["sha256"][name] = _write_array(partial / f"{name}.npy", array)
    _write(partial / CARD, [cards.to_json(card).encode()])
    _refuse_existing(folder)  # rename would silently replace an empty one
    partial.rename(folder)
  except OSError as error:
    raise DataError(_refusal(folder, episodes, error)) from error
  finally:
    shutil.rmtree(partial, ignore_errors=True)
  return card


def _refuse_existing(folder: pathlib.Path) -> None:
  if folder.exists() or folder.is_symlink():
    raise DataError(f"{folder}: already exists and is not overwritten; remove it or choose another version")


def _sweep(folder: pathlib.Path) -> None:
  """Removes what killed saves of this folder left; younger than a day, it may be another program's work."""
  for left_over in folder.parent.glob(f".{glob.escape(folder.name)}.partial-*"):
    with contextlib.suppress(OSError):
      if time.time() - left_over.stat().st_mtime > STALE_SECONDS:
        shutil.rmtree(left_over)


def _refusal(folder: pathlib.Path, episodes: Episodes, error: OSError) -> str:
  if error.errno in (errno.ENOSPC, errno.EDQUOT):
    needed = sum(array.nbytes for array in episodes.arrays().values()) / 1e6
    return f"{folder}: no space left for its {needed:.1f} MB ({error.strerror}); nothing of it was kept"
  return f"{folder}: cannot be written ({error.strerror or error}); nothing of it was kept"


def _write_array(path: pathlib.Path, array: np.ndarray) -> str:
  """The array as .npy in chunks; not np.save, whose error on a full disk loses its cause. -> sha256 of the file."""
  header = {"descr": np.lib.format.dtype_to_descr(array.dtype), "fortran_order": False, "shape": array.shape}

  def blocks():
    for _, rows in checks.chunks(array):
      yield np.ascontiguousarray(rows).data.cast("B")

  return _write(path, blocks(), header)


def _write(path: pathlib.Path, blocks, header: dict[str, Any] | None = None) -> str:
  """A new file, on the disk when this returns. -> its sha256."""
  with path.open("xb+") as file:
    if header is not None:
      np.lib.format.write_array_header_1_0(file, header)
    file.seek(0)
    digest = hashlib.sha256(file.read())
    for block in blocks:
      file.write(block)
      digest.update(block)
    file.flush()
    os.fsync(file.fileno())
  return digest.hexdigest()


# ---- reading --------------------------------------------------------------------------------------------------------


def load(folder: str | os.PathLike, *, mmap: bool = True, verify: bool = True) -> tuple[Episodes, dict[str, Any]]:
  """A data set and its card. The arrays stay on disk, memory-mapped, unless mmap is False.

  The card, the presence, type and length of every array and where episodes end are always checked; verify also reads
  all values: hashes, finiteness, actions in [-1, 1], and what the card says of counts, ranges and returns.

  Raises:
    DataError: the first fault, naming file, field, row and what was expected.
  """
  card, arrays, faults = _open(folder, mmap)
  if not faults:
    faults = _content_faults(folder, card, arrays) if verify else _told(folder, checks.layout_faults(arrays))
  for fault in faults:
    raise DataError(fault)
  return Episodes(**arrays), card


def examine(folder: str | os.PathLike) -> tuple[Episodes | None, dict[str, Any] | None, list[str]]:
  """A data set, if its arrays fit together at all, its card, if it can be read, and every fault: for inspect_data."""
  card, arrays, faults = _open(folder, mmap=True)
  if card is None:
    return None, None, faults
  faults = faults + list(_content_faults(folder, card, arrays))
  fits = not any(True for _ in checks.layout_faults(arrays))
  return (Episodes(**arrays) if fits else None), card, list(dict.fromkeys(faults))


def _open(folder, mmap: bool) -> tuple[dict[str, Any] | None, dict[str, np.ndarray], list[str]]:
  """Card, arrays by field, and what is wrong with the folder, the card's keys and the files."""
  folder = pathlib.Path(folder)
  try:
    card = _read_card(folder)
  except DataError as error:
    return None, {}, [str(error)]
  faults = [f"{folder / CARD}: {fault}" for fault in cards.faults(card)]
  named = set(card["sha256"]) if isinstance(card, dict) and isinstance(card.get("sha256"), dict) else set()
  arrays = {}
  for name, field in checks.FIELDS.items():
    path = folder / f"{name}.npy"
    if name in named or field.required:
      try:
        arrays[name] = npy_files.open_array(path, f"a data set needs it as {checks.shape_words(name)}", mmap)
      except DataError as error:
        faults.append(str(error))
    elif path.exists():
      faults.append(f"{path}: is not named under 'sha256' in {CARD}; it is no part of this data set")
  return card if isinstance(card, dict) else None, arrays, faults


def _read_card(folder: pathlib.Path) -> Any:
  if not folder.is_dir():
    found = "is a file, not a folder" if folder.exists() else "does not exist"
    raise DataError(f"{folder}: {found}; a data set is a folder with {CARD} and one .npy per field")
  try:
    return json.loads((folder / CARD).read_text(encoding="utf-8"))
  except FileNotFoundError:
    raise DataError(f"{folder}: has no {CARD}; a data set is a folder with {CARD} and one .npy per field") from None
  except OSError as error:
    raise DataError(f"{folder / CARD}: cannot be read ({error.strerror})") from None
  except (ValueError, RecursionError) as error:
    raise DataError(f"{folder / CARD}: is not JSON ({error})") from None


def _told(folder, faults: Iterable[checks.Fault]) -> Iterator[str]:
  """Faults of arrays with the files that they are in."""
  yield from (f"{pathlib.Path(folder) / fault.field}.npy: {fault.text}" for fault in faults)


def _content_faults(folder, card: dict[str, Any], arrays: dict[str, np.ndarray]) -> Iterator[str]:
  """What is wrong with the values: layout first, then hashes, values, and the card's own words."""
  folder = pathlib.Path(folder)
  hashes = card["sha256"] if isinstance(card.get("sha256"), dict) else {}
  for name in arrays:
    with (folder / f"{name}.npy").open("rb") as file:
      found = hashlib.file_digest(file, "sha256").hexdigest()
    if name in hashes and found != hashes[name]:
      said = str(hashes[name])[:12]
      yield f"{folder / name}.npy: has changed since it was written, sha256 {found[:12]} where {CARD} says {said}"
  sound = True
  for fault in _told(folder, checks.faults(arrays)):
    sound = False
    yield fault
  if sound and not list(cards.faults(card)):
    for text in cards.disagreements(card, cards.measure(Episodes(**arrays))):
      yield f"{folder / CARD}: {text}"
