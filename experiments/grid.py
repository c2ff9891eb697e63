"""Many cells trained one after the other, under one progress bar: what is done is skipped, what was stopped goes on.

A table's folder holds cells/, a small JSON file for each; the runs they are made from lie elsewhere (--runs_dir). Both
can be stopped at any moment: the same command goes on, kill -9 included. Started several times at once, its processes
share the cells out among them.
"""

import contextlib
import os
import pathlib
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any

import jax
from absl import flags
from tqdm import tqdm

from experiments import cell_data, cells, locks, processes, runs, seed_runs, train, train_request, train_setup
from experiments.cells import Cell
from experiments.recipes import Recipe
from experiments.runs import Ended
from marl_offline.datasets.storage import DataError
from marl_offline.training import memory
from marl_offline.training.checkpoints import CheckpointError, NotSaved
from marl_offline.training.memory import TooLarge
from marl_offline.training.trainer import NonFinite

FAILURES = (NonFinite, TooLarge, DataError, CheckpointError, jax.errors.JaxRuntimeError)


def define_flags(flag_values: flags.FlagValues, out: str) -> None:
  """The flags that every binary with a grid has."""
  flags.DEFINE_integer("num_seeds", 5, "of every cell", lower_bound=1, flag_values=flag_values)
  flags.DEFINE_string("out", out, "folder of the cells, the table and the picture", flag_values=flag_values)
  flags.DEFINE_string(
    "runs_dir", "runs/grid", "where the runs go that the cells are made from", flag_values=flag_values
  )
  flags.DEFINE_string("data_dir", "data", "where data sets lie and are made", flag_values=flag_values)
  words = "a finished run of train that becomes part of its cell; repeatable"
  flags.DEFINE_multi_string("run", [], words, flag_values=flag_values)
  flags.DEFINE_boolean("show", False, "train nothing, only show the cells that there are", flag_values=flag_values)
  for name in ("gradient_steps", "evaluations", "episodes"):
    words = "instead of the protocol's, for a trial; such cells have files of their own"
    flags.DEFINE_integer(name, None, words, lower_bound=1, flag_values=flag_values)


def shortened(flag_values: flags.FlagValues) -> dict[str, int | None]:
  """The fields of Cell that --gradient_steps and its like change."""
  return {name: getattr(flag_values, name) for name in ("gradient_steps", "evaluations", "episodes")}


class _Bar:
  """What trainer.fit tells of one run, on a bar over all of them; see progress.Bar. Without a terminal, lines."""

  def __init__(self, total: int):
    self._out, self._terminal = sys.stdout, sys.stderr.isatty()  # kept: a run's own words go elsewhere
    self._tqdm = tqdm(total=total, unit=" updates", dynamic_ncols=True, disable=not self._terminal)
    self._total, self._done, self._end, self._began = total, 0, 0, time.perf_counter()

  def begin(self, name: str, steps: int, seeds: int) -> None:
    """The next run, of so many updates of so many seeds."""
    self._name, self._seeds, self._end = name, seeds, self._done + steps * seeds
    self._tqdm.set_postfix_str(name)

  def advance(self, steps: int) -> None:
    self._move(steps * self._seeds)

  def say(self, words: str, position: Any) -> None:
    self._tqdm.set_postfix_str(f"{self._name} {words}")
    self._print(f"{self._name} at {position.step}: {words}")

  def close(self) -> None:
    """A run ends; the whole goes on, and stays to be seen while the next run loads."""
    self._tqdm.refresh()

  def end(self, outcome: str) -> None:
    """What the run had done when it was resumed, or did not do because it failed, counts too. outcome: how it ended."""
    self._move(self._end - self._done)
    self._print(f"{self._name} {outcome} after {time.perf_counter() - self._began:.0f} s of work")

  def _move(self, updates: int) -> None:
    self._done += updates
    self._tqdm.update(updates)

  def _print(self, words: str) -> None:
    if not self._terminal:
      print(f"{100.0 * self._done / self._total:.1f} %: {words}", file=self._out, flush=True)


def fill(wanted: Sequence[Cell], flag_values: flags.FlagValues) -> list[dict[str, Any]]:
  """Trains what is missing, writes each cell when its seeds are done. -> the cells that there are, in their order.

  A run that fails (a metric not finite, memory, a damaged checkpoint or data set) is named on stderr, and the others
  are trained all the same.

  Raises:
    UserError: an unknown name, a cell of other settings or data than today's, files that do not fit each other, or no
      cell to show.
    Ended: a signal came.
    NonFinite: at the end, where a run failed.
  """
  out, seeds = pathlib.Path(flag_values.out), range(flag_values.num_seeds)
  adopt(flag_values.run, out)
  if not flag_values.show:
    require_playable(wanted, seeds)
  for cell in wanted:  # before anything is trained
    run = train_request.checked_run(cell.flags(0, 1))
    if (found := cells.load(path_of(out, cell))) and not flag_values.show:
      cells.require_current(found, run, path_of(out, cell))
      require_data_of(cell, found["dataset"]["name"], flag_values.data_dir, path_of(out, cell))
      for seed, data in cell_data.contents(found["dataset"]):
        place = cell_data.folder(cell.dataset, seed) or pathlib.Path(flag_values.data_dir) / data["name"]
        runs.require_same_data(data, pathlib.Path(place), path_of(out, cell))
  work, runs_dir = [], pathlib.Path(flag_values.runs_dir)
  for cell in () if flag_values.show else wanted:
    work += [(cell, run) for run in seed_runs.wanted(cell, cells.load(path_of(out, cell)), seeds, runs_dir)]
  for cell, run in work:
    if more := sorted(set(run) - set(seeds)):
      print(f"{cell.name}: seeds {run[0]} to {run[-1]} were begun together and go on, {len(more)} more than asked for")
  if not work and not flag_values.show:
    print(f"nothing to train: {out / 'cells'} has {len(seeds)} seeds of every cell; another --out trains them anew")
  for cell, block in work:
    _request(cell, block, flag_values)  # refuses now what would end the table later
  failed = _train_all(work, flag_values) if work else []
  if failed:
    told = f"{len(failed)} of {len(work)} runs failed, --show writes the table of the others; " + "; ".join(failed)
    raise NonFinite(told)
  if work and (open_ := [cell.name for cell in lacking(wanted, flag_values)]):
    print(f"another process works on {', '.join(open_)}; the same command goes on if it ended before", file=sys.stderr)
  found = [cell for each in wanted if (cell := cells.load(path_of(out, each))) is not None]
  if not found:
    raise runs.UserError(f"{out / 'cells'} holds none of these cells yet; leave out --show to train them")
  cell_data.require_one_content(found)
  return found


def require_playable(wanted: Iterable[Cell], seeds: Sequence[int]) -> None:
  """Data sets that somebody gave are of the task that they shall be played in, and their actions of the algorithms'.

  Raises:
    UserError, DataError: one is not, or a seed has none.
  """
  given = [cell for cell in wanted if cell.dataset]
  for task, dataset in dict.fromkeys((cell.task, cell.dataset) for cell in given):
    algorithms = [cell.algorithm for cell in given if (cell.task, cell.dataset) == (task, dataset)]
    for folder in dict.fromkeys(pathlib.Path(cell_data.folder(dataset, seed)) for seed in seeds):
      if cell_data.each(dataset) and not folder.is_dir():
        raise runs.UserError(f"--datasets: {dataset} stands for {folder} too, which does not exist")
      if folder.is_dir():  # a study's own are made later
        runs.require_match(folder, runs.environment_of(task))
        for algorithm in algorithms:
          train_setup.require_actions(algorithm, folder)


def lacking(wanted: Iterable[Cell], flag_values: flags.FlagValues) -> list[Cell]:
  """The cells that have not all of --num_seeds yet."""
  out, seeds = pathlib.Path(flag_values.out), range(flag_values.num_seeds)
  return [cell for cell in wanted if cells.missing(cells.load(path_of(out, cell)), seeds)]


def require_data_of(cell: Cell, name: str, data_dir: str, what: pathlib.Path) -> None:
  """Refuses a cell or a run of another version of its data set than would be trained on now.

  Raises:
    UserError: it is.
  """
  if cell.dataset:
    return  # a folder may have any name; what it holds is compared by runs.require_same_data
  now = (runs.data_folder(data_dir, cell.task, cell.quality) or Recipe(cell.task, cell.quality).folder(data_dir)).name
  if name != now:
    raise runs.UserError(
      f"{what} is of {name}, where {now} would be trained on now; move it, or take another --data_dir"
    )


def adopt(folders: Sequence[str], out: pathlib.Path) -> None:
  """Finished runs of `train` become parts of their cells.

  Raises:
    UserError: one is unfinished, damaged or of other settings than its cell, or does not fit what is there; or another
      process works on the cell.
  """
  for folder in map(pathlib.Path, folders):
    given = runs.read_config(folder)["flags"]
    changed = {n: given.get(n) for n in ("dataset", "gradient_steps", "evaluations", "episodes")}
    cell = Cell(*(given[n] for n in ("algorithm", "task", "quality", "protocol")), tuple(given["set"]), **changed)
    path, part = path_of(out, cell), cells.of_run(folder)
    cells.require_current(part, train_request.checked_run(cell.flags(0, 1)), folder)
    before = cells.load(path)
    if before and set(part["seeds"]) <= set(before["seeds"]):
      continue
    with locks.alone(lock_of(out, cell)) as alone:
      if not alone:
        raise runs.UserError(f"--run={folder}: another process works on {path}; wait for it")
      cells.save(path, cells.join(cells.load(path), part))


def path_of(out: pathlib.Path, cell: Cell) -> pathlib.Path:
  """A cell's file."""
  return out / "cells" / f"{cell.name}.json"


def lock_of(out: pathlib.Path, cell: Cell) -> pathlib.Path:
  """What the one process holds that works on a cell; beside the cell, so that those who share cells share it."""
  return path_of(out, cell).with_name(f".{cell.name}.lock")


def _train_all(work, flag_values) -> list[str]:
  steps = {cell: train_request.checked_run(cell.flags(0, 1)).gradient_steps for cell, _ in work}
  bar, failed = _Bar(sum(steps[cell] * len(block) for cell, block in work)), []
  out = pathlib.Path(flag_values.out)
  for number, (cell, block) in enumerate(work, 1):
    bar.begin(f"[{number}/{len(work)}] {cell.name}", steps[cell], len(block))
    try:
      with locks.alone(lock_of(out, cell)) as alone:
        for part in cells.missing(cells.load(path_of(out, cell)), block) if alone else ():  # less, if another was here
          _train(cell, part, flag_values, bar)
      bar.end("done" if alone else "left to another process")
    except FAILURES as error:
      if not of_one_run(error):
        raise
      failed.append(f"{cell.name}: {' '.join(str(error).split())}")
      print(f"error: {failed[-1]}", file=sys.stderr, flush=True)
      bar.end("failed")
    if number < len(work):
      jax.clear_caches()  # they would keep every run's programs to the end: 10 to 50 MB each
  return failed


def of_one_run(error: Exception) -> bool:
  """Whether the others can be trained all the same. On a full disk none can be saved."""
  if isinstance(error, jax.errors.JaxRuntimeError):
    return memory.ran_out(error)
  return not isinstance(error, NotSaved)


def _train(cell: Cell, block: list[int], flag_values, bar) -> None:
  """Some seeds of a cell, to the end and into its file.

  Raises:
    Ended: a signal came.
    NonFinite, TooLarge, DataError, UserError: see train.run.
  """
  path, stopped = path_of(pathlib.Path(flag_values.out), cell), None
  request = _request(cell, block, flag_values)
  folder = request.folder
  if (folder / "result.json").exists():
    part = cells.of_run(folder)
    cells.require_current(part, request.run, folder)
    runs.require_same_data(part["dataset"], pathlib.Path(request.given["dataset"] or request.began_with), folder)
  else:
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):  # its words are in its files
      stopped = train.run(request, processes.Team(), bar)
    if stopped and not (folder / "result.json").exists():
      raise _ended(stopped)
  cells.save(path, cells.join(cells.load(path), cells.of_run(folder, cell.paired)))
  if stopped:  # in the run's last moments
    raise _ended(stopped)


def _request(cell: Cell, block: list[int], flag_values) -> train_request.Request:
  """What `train` is asked for: a run that begins, or goes on.

  Raises:
    UserError: another run has its folder.
  """
  folder = seed_runs.folder(pathlib.Path(flag_values.runs_dir), cell, block)
  given = cell.flags(block[0], len(block))
  if not folder.exists():
    return train_request.of_flags(given, folder, flag_values.data_dir)
  request = train_request.resumed(given, folder, flag_values.data_dir)
  require_data_of(cell, runs.read_config(folder)["dataset"]["name"], flag_values.data_dir, folder)
  return request


def _ended(stopped: train.Stopped) -> Ended:
  return Ended(f"stopped by {stopped.signal}; all is saved, and the same command goes on")
