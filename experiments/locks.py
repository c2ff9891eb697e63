"""Locks that keep two processes out of the same files; each goes with its process, however that ends."""

import contextlib
import fcntl
import pathlib
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
  """Waits for another process that holds the lock of that file, and says so; it is gone at the end.

  what: what that one is at. Whoever comes next must look whether it is done already.

  Raises:
    UserError: the file cannot be made.
  """
  with _opened(path) as file:
    if not _locked(file):
      print(f"another process {what}; this one waits for it", flush=True)
      fcntl.flock(file, fcntl.LOCK_EX)
    try:
      yield
    finally:
      path.unlink(missing_ok=True)  # a third may then begin beside one that waited: both look first at what is there


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
