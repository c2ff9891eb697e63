"""The rows of a table: data sets of ours by task and quality, or anybody's by their folders."""

import os
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

from absl import flags

from experiments import cell_data, runs, settings
from marl_offline.datasets import storage

OTHERS = "medium-replay"  # whose settings train on data of a quality that has none


class Row(NamedTuple):
  """A data set; quality is the one whose settings train on it."""

  task: str
  quality: str
  dataset: str | None = None  # a folder; None: the newest of ours


def define_flag(flag_values: flags.FlagValues, task: str) -> None:
  """--datasets. task: the binary's flag for the task."""
  words = (
    "folders of data sets, your own or converted from published files, instead of ours: a row each, of its card's task "
    f"and quality. If its quality is none of ours, --qualities says whose settings to train with ({OTHERS} if it does "
    f"not); if its task is none of ours, --{task} names a module of your own that all of them are played in. A name "
    "with {seed}, such as data/spread-expert-omar{seed}, gives each seed the data set of its number"
  )
  flags.DEFINE_list("datasets", [], words, flag_values=flag_values)


def asked(flag_values: flags.FlagValues, tasks: str) -> list[Row]:
  """What the flags ask for. tasks: the name of the flag that names one, or several.

  Raises:
    UserError: see of_folders, require_qualities.
  """
  named = getattr(flag_values, tasks)
  named = [named] if isinstance(named, str) else named
  if not flag_values.datasets:
    require_qualities(flag_values.qualities)
    return [Row(task, quality) for task in named for quality in flag_values.qualities]
  like = flag_values.qualities if flag_values["qualities"].present else None
  return of_folders(flag_values.datasets, named if flag_values[tasks].present else None, like, tasks)


def require_qualities(named: Sequence[str]) -> None:
  """Those of --qualities are of the papers'.

  Raises:
    UserError: one is not.
  """
  for name in named:
    runs.choose("qualities", name, settings.QUALITIES)


def of_folders(
  folders: Sequence[str], tasks: Sequence[str] | None = None, like: Sequence[str] | None = None, flag: str = "tasks"
) -> list[Row]:
  """The rows of --datasets. tasks: at most one, in place of the cards', from the flag so called; like: at most one
  quality.

  Raises:
    UserError: a folder is no data set, of a task that is not here, or of another one's name; or too much is named.
    DataError: a card or an array is damaged.
  """
  for name, values in ((flag, tasks), ("qualities", like)):
    if len(values or ()) > 1:
      raise runs.UserError(f"--{name}={','.join(values)}: --datasets says which rows there are; name one at most")
  require_qualities(like or ())
  found, cards = {}, {}
  for folder in folders:
    row, card = _of_folder(folder, *(tasks or ()), like=(like or [OTHERS])[0], flag=flag)
    name = pathlib.Path(row.dataset).name
    if name in found:
      raise runs.UserError(f"--datasets: two folders are called {name}, and so would their cells be; rename one")
    if card in cards:
      told = (
        f"are both {card} by their cards, which is what a table calls them; take one at a time, each with its --out"
      )
      raise runs.UserError(f"--datasets: {cards[card]} and {folder} {told}")
    found[name], cards[card] = row, folder
  return list(found.values())


def _of_folder(folder: str, task: str | None = None, *, like: str, flag: str) -> tuple[Row, str]:
  first = pathlib.Path(cell_data.folder(folder, 0))
  runs.require_data_set("datasets", first)
  _, card = storage.load(first, verify=False)
  if task is None and card["task"] not in settings.TASKS:
    told = f"is of task {card['task']!r}, which is none of ours; --{flag} names a module of your own that plays it"
    raise runs.UserError(f"--datasets: {folder} {told}")
  quality = card["quality"] if card["quality"] in settings.QUALITIES else like
  row = Row(task or card["task"], quality, os.path.normpath(folder))
  return row, pathlib.Path(row.dataset).name if cell_data.each(folder) else card["name"]
