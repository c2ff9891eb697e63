"""The rows of a table: data sets of ours by task and quality, or anybody's by their folders."""

import pathlib
from collections.abc import Sequence
from typing import NamedTuple

from absl import flags

from experiments import runs, settings
from marl_offline.datasets import storage

OTHERS = "medium-replay"  # whose settings train on data of a quality that has none


class Row(NamedTuple):
  """A data set; quality is the one whose settings train on it."""

  task: str
  quality: str
  dataset: str | None = None  # a folder; None: the newest of ours


def define_flag(flag_values: flags.FlagValues) -> None:
  """--datasets."""
  words = (
    "folders of data sets, your own or converted from published files, instead of ours: a row each, of its card's task "
    f"and quality. If its quality is none of ours, --qualities says whose settings to train with ({OTHERS} if it does "
    "not); if its task is none of ours, a module of your own by its dotted name says what it is played in"
  )
  flags.DEFINE_list("datasets", [], words, flag_values=flag_values)


def asked(flag_values: flags.FlagValues, tasks: str, qualities: Sequence[str]) -> list[Row]:
  """What the flags ask for. tasks: the name of the flag that names one, or several.

  Raises:
    UserError: see of_folders.
  """
  named = getattr(flag_values, tasks)
  named = [named] if isinstance(named, str) else named
  if not flag_values.datasets:
    return [Row(task, quality) for task in named for quality in qualities]
  like = flag_values.qualities if flag_values["qualities"].present else None
  return of_folders(flag_values.datasets, named if flag_values[tasks].present else None, like)


def of_folders(
  folders: Sequence[str], tasks: Sequence[str] | None = None, like: Sequence[str] | None = None
) -> list[Row]:
  """The rows of --datasets. tasks: at most one, in place of the cards'; like: at most one quality.

  Raises:
    UserError: a folder is no data set, of a task that is not here, or of another one's name; or too much is named.
    DataError: a card or an array is damaged.
  """
  for flag, names in (("tasks", tasks), ("qualities", like)):
    if len(names or ()) > 1:
      raise runs.UserError(f"--{flag}={','.join(names)}: --datasets says which rows there are; name one at most")
  found = [_of_folder(folder, *(tasks or ()), like=(like or [OTHERS])[0]) for folder in folders]
  names = [pathlib.Path(row.dataset).name for row in found]
  for name in names:
    if names.count(name) > 1:
      raise runs.UserError(f"--datasets: two folders are called {name}, and so would their cells be; rename one")
  return found


def _of_folder(folder: str, task: str | None = None, *, like: str) -> Row:
  if not (pathlib.Path(folder) / storage.CARD).is_file():
    reason = "is not a data set: it has no card.json" if pathlib.Path(folder).exists() else "does not exist"
    raise runs.UserError(f"--datasets: {folder} {reason}")
  _, card = storage.load(folder, verify=False)
  if task is None and card["task"] not in settings.TASKS:
    told = f"is of task {card['task']!r}, which is none of ours; name a module of your own that plays it"
    raise runs.UserError(f"--datasets: {folder} {told}")
  return Row(task or card["task"], card["quality"] if card["quality"] in settings.QUALITIES else like, folder)
