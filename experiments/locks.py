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
  with runs.writing(path, "nothing was trained"):
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("w")
  with file:
    try:
      fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
      mine = True
    except BlockingIOError:
      mine = False
    except OSError:
      mine = True
    yield mine


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
