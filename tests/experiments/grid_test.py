"""How the seeds that a cell lacks are cut into runs, and who may work on it."""

import dataclasses
import pathlib

import jax
import pytest

from experiments import grid, locks, main_table, seed_runs
from experiments.cells import Cell
from marl_offline.training import checkpoints
from tests.experiments import binaries

CELL = Cell("bc", "spread", "random", changes=("batch_size=8",), gradient_steps=20, evaluations=2, episodes=3)
FLAGS = ("--algorithms=bc", "--tasks=spread", "--qualities=random", "--set=batch_size=8", "--gradient_steps=20",
         "--evaluations=2", "--episodes=3")  # fmt: skip


def test_seeds_that_were_begun_together_stay_together():
  cut = seed_runs.cut
  assert cut([0, 1, 2, 3, 4], []) == [[0, 1, 2, 3, 4]]
  assert cut([0, 1, 2, 3, 4], [[0, 1, 2], [1]]) == [[0, 1, 2], [3, 4]]
  assert cut([0, 1, 2, 3, 4], [[3], [1]]) == [[0], [1], [2], [3], [4]]
  assert cut([1, 2], [[1, 2]]) == [[1, 2]]
  assert cut([0, 1, 2, 3, 4], [[0, 1, 2], [2, 3, 4]]) == [[0, 1, 2], [3, 4]]


def test_a_run_with_seeds_that_are_done_already_does_not_go_on(tmp_path):
  for name in ("s0-4", "s3-4"):
    (tmp_path / f"{CELL.name}-{name}").mkdir()
  assert seed_runs.wanted(CELL, None, range(5), tmp_path) == [[0, 1, 2, 3, 4]]
  assert seed_runs.wanted(CELL, None, range(3), tmp_path) == [[0, 1, 2, 3, 4]]  # fewer are asked for than were begun
  (tmp_path / f"{CELL.name}-s0-2").mkdir()
  assert seed_runs.wanted(CELL, None, range(3), tmp_path) == [[0, 1, 2]]
  (tmp_path / f"{CELL.name}-s0-2").rmdir()
  (tmp_path / f"{CELL.name}-s0-4" / "failed").mkdir()
  assert seed_runs.wanted(CELL, None, range(3), tmp_path) == [[0, 1, 2]]  # by themselves
  assert seed_runs.wanted(CELL, {"seeds": [0, 1]}, range(5), tmp_path) == [[2], [3, 4]]
  paired = dataclasses.replace(CELL, dataset="data/mine{seed}")
  assert seed_runs.wanted(paired, {"seeds": [1]}, range(3), tmp_path) == [[0], [2]]


def test_runs_of_a_cell_are_known_by_their_folders(tmp_path):
  others = (f"{CELL.name}-s", f"{CELL.name}-set-s0", f"x{CELL.name}-s0", f"{CELL.name}-s0-1-2", f"{CELL.name}-s5-2")
  for name in (f"{CELL.name}-s0", f"{CELL.name}-s3-4", *others):
    (tmp_path / name).mkdir()
  assert seed_runs.begun(tmp_path, CELL) == [[3, 4], [0]]
  assert seed_runs.begun(tmp_path / "nowhere", CELL) == []


def places(folder):
  return f"--out={folder / 'out'}", f"--runs_dir={folder / 'runs'}", f"--data_dir={folder / 'data'}"


def test_more_seeds_go_on_with_a_run_of_fewer_that_was_stopped(tmp_path, monkeypatch):
  binaries.make_data("spread", "random", tmp_path / "data")
  of_run = grid.train.run
  asked = []

  def stopped(request, team, bar):
    asked.append((request.folder.name.removeprefix(CELL.name), request.resume))
    of_run(request, team, bar)
    (request.folder / "result.json").unlink()  # as if it had been stopped before
    return grid.train.Stopped("SIGTERM", None)

  def call(*arguments):
    return binaries.call(main_table.main, main_table.FLAGS, *FLAGS, *places(tmp_path), *arguments)

  monkeypatch.setattr(grid.train, "run", stopped)
  status, out, err = call("--num_seeds=2")
  assert status == 0 and "stopped by SIGTERM; all is saved" in out, err

  def noted(request, team, bar):
    asked.append((request.folder.name.removeprefix(CELL.name), request.resume))
    return of_run(request, team, bar)

  monkeypatch.setattr(grid.train, "run", noted)
  status, _, err = call("--num_seeds=3")
  assert status == 0, err
  assert asked == [("-s0-1", False), ("-s0-1", True), ("-s2", False)]
  cell = grid.cells.load(grid.path_of(tmp_path / "out", CELL))
  assert [run["seeds"] for run in cell["runs"]] == [[0, 1], [2]]


def test_those_who_share_cells_share_their_locks_wherever_their_runs_are(tmp_path):
  lock = grid.lock_of(tmp_path / "out", CELL)
  assert lock.parent == grid.path_of(tmp_path / "out", CELL).parent
  folder = pathlib.Path(tmp_path, "run")
  folder.mkdir()
  with locks.alone(lock) as alone, pytest.MonkeyPatch.context() as patch:
    assert alone
    patch.setattr(grid.runs, "read_config", lambda _: {"flags": vars(CELL) | {"set": ["batch_size=8"]}})
    patch.setattr(grid.cells, "of_run", lambda _: {"seeds": [0]})
    patch.setattr(grid.cells, "require_current", lambda *_: None)
    with pytest.raises(grid.runs.UserError, match="another process works on"):
      grid.adopt([str(folder)], tmp_path / "out")


def test_a_run_with_damaged_files_does_not_keep_the_others(tmp_path, monkeypatch):
  binaries.make_data("spread", "random", tmp_path / "data")
  of_run = grid.train.run

  def damaged(request, team, bar):
    if "learning_rate" in request.folder.name:
      raise checkpoints.CheckpointError("meta.json is damaged")
    return of_run(request, team, bar)

  monkeypatch.setattr(grid.train, "run", damaged)
  flags = grid.flags.FlagValues()
  grid.define_flags(flags, out="")
  flags(["", *places(tmp_path), "--num_seeds=1"])
  cells = [dataclasses.replace(CELL, changes=(*CELL.changes, "learning_rate=0.1")), CELL]
  with pytest.raises(grid.NonFinite, match=r"1 of 2 runs failed.*learning_rate_0\.1.*: meta\.json is damaged"):
    grid.fill(cells, flags)
  assert [grid.path_of(tmp_path / "out", cell).exists() for cell in cells] == [False, True]


def test_what_fails_one_run_and_what_fails_all():
  of_all = [checkpoints.NotSaved("cannot save"), jax.errors.JaxRuntimeError("INTERNAL: it broke")]
  of_one = [checkpoints.CheckpointError("damaged"), jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")]
  assert [grid.of_one_run(error) for error in of_all + of_one] == [False, False, True, True]
