"""Cells joined from parts: the seeds in order, nothing twice, nothing of another kind."""

import copy
import json
import pathlib

import pytest

from experiments import cells, runs

CELL = pathlib.Path(__file__).parents[2] / "results" / "mpe" / "cells" / "spread-random-bc.json"


def part(cell, *seeds):
  """Some seeds of a cell, as a run of them would have made it."""
  at = [cell["seeds"].index(seed) for seed in seeds]
  own = {name: [cell[name][i] for i in at] for name in ("seeds", "final_returns", "stuck_agents", "curve")}
  return cell | own | {"metrics": {name: [rows[i] for i in at] for name, rows in cell["metrics"].items()}}


@pytest.fixture
def whole():
  return part(json.loads(CELL.read_text()), 0, 1, 2) | {"runs": []}


def test_parts_make_the_whole_in_any_order(whole):
  assert cells.join(part(whole, 2), part(whole, 0, 1)) == whole
  assert cells.join(None, whole) is whole


def test_a_seed_is_there_once(whole):
  with pytest.raises(runs.UserError, match="seed 1 of bc on spread-random-v1 is there twice"):
    cells.join(part(whole, 0, 1), part(whole, 1, 2))


def test_parts_of_other_data_or_settings_are_no_cell(whole):
  for change in (lambda cell: cell["dataset"].update(sha256="0" * 64), lambda cell: cell.update(gradient_steps=1)):
    other = copy.deepcopy(part(whole, 1, 2))
    change(other)
    with pytest.raises(runs.UserError, match=r"differ in (dataset|gradient_steps) and cannot be one cell"):
      cells.join(part(whole, 0), other)
