"""How the seeds that a cell lacks are cut into runs, and who may work on it."""

import pathlib

import pytest

from experiments import grid, locks, main_table
from experiments.cells import Cell
from tests.experiments import binaries

CELL = Cell("bc", "spread", "random", changes=("batch_size=8",), gradient_steps=20, evaluations=2, episodes=3)
FLAGS = ("--algorithms=bc", "--tasks=spread", "--qualities=random", "--set=batch_size=8", "--gradient_steps=20",
         "--evaluations=2", "--episodes=3")  # fmt: skip


def test_seeds_that_were_begun_together_stay_together():
  assert grid.cut([0, 1, 2, 3, 4], []) == [[0, 1, 2, 3, 4]]
  assert grid.cut([0, 1, 2, 3, 4], [[0, 1, 2], [1]]) == [[0, 1, 2], [3, 4]]
  assert grid.cut([0, 1, 2, 3, 4], [[3], [1]]) == [[0], [1], [2], [3], [4]]
  assert grid.cut([2, 3, 4], [[0, 1, 2, 3, 4], [3, 4]]) == [[2], [3, 4]]  # others' seeds are done already
  assert grid.cut([1, 2], [[1, 2]]) == [[1, 2]]


def test_runs_of_a_cell_are_known_by_their_folders(tmp_path):
  others = (f"{CELL.name}-s", f"{CELL.name}-set-s0", f"x{CELL.name}-s0", f"{CELL.name}-s0-1-2", f"{CELL.name}-s5-2")
  for name in (f"{CELL.name}-s0", f"{CELL.name}-s3-4", *others):
    (tmp_path / name).mkdir()
  assert grid.begun(tmp_path, CELL) == [[3, 4], [0]]
  assert grid.begun(tmp_path / "nowhere", CELL) == []


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
