"""Locks that keep two processes out of the same files; each goes with its process, however that ends."""

import contextlib
import fcntl
import os
import pathlib
import sys
from collections.abc import Callable, Iterator

from experiments import runs


@contextlib.contextmanager
def alone(path: pathlib.Path) -> Iterator[bool]:
  """Gives True unless another process holds the lock of that file, which is made; where a file system has no locks,
  True.

  Raises:
    UserError: the file cannot be made.
  """
  with _opened(path) as file:
    yield _locked(file)


@contextlib.contextmanager
def in_turn(path: pathlib.Path, what: str) -> Iterator[None]:
  """Waits for another process that holds the lock of that file, and says so; the file is gone at the end.

  what: what that one is at. Whoever comes next must look whether it is done already.

  Raises:
    UserError: the file cannot be made.
  """
  while True:
    with _opened(path) as file:
      if not _locked(file):
        print(f"another process {what}; this one waits for it", file=sys.stderr, flush=True)
        fcntl.flock(file, fcntl.LOCK_EX)
      if not _still_there(path, file):
        continue  # who held it has removed it: another file of this name may be somebody's lock by now
      try:
        yield
      finally:
        with contextlib.suppress(OSError):
          path.unlink()
      return


def _still_there(path: pathlib.Path, file) -> bool:
  try:
    return os.path.samestat(path.stat(), os.fstat(file.fileno()))
  except FileNotFoundError:
    return False


def _opened(path: pathlib.Path):
  with runs.writing(path, "nothing was done"):
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("w")


def _locked(file) -> bool:
  """Whether the file's lock is ours now."""
  try:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except BlockingIOError:
    return False
  except OSError:
    return True  # no locks here
  return True


def train_once(folder: pathlib.Path, name: str, train: Callable[[], None]) -> None:
  """train(), which writes folder/name.json last, unless another process has done so; only one does at a time.

  Raises:
    ValueError: another process is at it.
  """
  with alone(folder / f".training-{name}.lock") as mine:
    if not mine:
      raise ValueError(f"another process trains them in {folder}; wait for it or take another --seed")
    if not (folder / f"{name}.json").exists():  # else another process made it meanwhile
      train()
