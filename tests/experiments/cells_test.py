"""Cells joined from parts: the seeds in order, nothing twice, nothing of another kind."""

import copy
import json
import pathlib

import numpy as np
import pytest

from experiments import cells, runs, settings

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


def test_parts_that_were_evaluated_at_other_steps_meet_where_both_were(whole):
  often, seldom = part(whole, 0, 2), part(whole, 1)
  pick = lambda rows: [row[1::2] for row in rows]  # noqa: E731
  seldom |= {"steps": whole["steps"][1::2], "curve": pick(seldom["curve"])}
  seldom["metrics"] = {name: pick(rows) for name, rows in seldom["metrics"].items()}
  joined = cells.join(often, seldom)
  assert (joined["seeds"], joined["steps"]) == ([0, 1, 2], whole["steps"][1::2])
  assert joined["curve"] == pick(whole["curve"]) and joined["final_returns"] == whole["final_returns"]
  assert joined["metrics"] == {name: pick(rows) for name, rows in whole["metrics"].items()}


OTHERS = {
  **{"team_reward": "first_agent", "gradient_steps": 20, "episodes_per_evaluation": 3, "minibatches": 50},
  **{"precision": "tensorfloat32", "protocol": "layer_norm", "set": ["batch_size=8"]},
}


@pytest.mark.parametrize("name", OTHERS)
def test_seeds_that_were_trained_or_evaluated_otherwise_are_neither_joined_nor_taken_for_todays(whole, name):
  run = settings.paper("bc", "spread", "random")
  cells.require_current(whole, run, CELL)
  other = part(whole, 1) | {name: OTHERS[name]}
  with pytest.raises(runs.UserError, match=f"differ in {name} and cannot be one cell"):
    cells.join(part(whole, 0), other)
  if name not in ("protocol", "set"):  # of which the cell's name tells
    with pytest.raises(runs.UserError, match=f"was trained with {name}={OTHERS[name]}, which is now"):
      cells.require_current(other, run, CELL)


def test_a_runs_seeds_keep_their_own_numbers(tmp_path):
  """Seed 6 evaluates at 2 and 15, seed 5 at 5 and 1000.123; the lines of the log lie in any order."""
  data = {"name": "d", "task": "spread", "quality": "mine", "origin": "collected", "folder": "d", "sha256": {}}
  flags = {"algorithm": "bc", "task": "spread", "quality": "random", "protocol": "paper", "set": []}
  config = {"flags": flags | {"num_seeds": 2, "first_seed": 5}, "dataset": data | {"mean_return": 1.5}}
  config["run"] = {"config": {}, "gradient_steps": 20, "team_reward": "mean", "source": "a test"}
  config |= {"seeds": [6, 5], "versions": {}, "device": "cpu", "commit": None}
  (tmp_path / "config.json").write_text(json.dumps(config))
  result = dict.fromkeys(("updates_per_second", "train_seconds", "eval_seconds"), 1.0) | {"stuck_agents": [[1], []]}
  (tmp_path / "result.json").write_text(json.dumps(result))
  returns = [[[1.0, 3.0], [10.0, 20.0]], [[5.0, 5.0], [1000.123, 1000.123]]]
  axes = np.array(["seed", "evaluation", "episode"])
  np.savez(tmp_path / "returns.npz", returns=returns, axes=axes, step=np.array([10, 20]))
  losses = [(20, 5, 4.0), (10, 6, 1.0), (20, 6, 2.0), (10, 5, 3.0)]
  lines = [json.dumps({"step": step, "seed": seed, "loss": loss, "score": 0.0}) for step, seed, loss in losses]
  (tmp_path / "metrics.jsonl").write_text("\n".join(lines))
  cell = cells.of_run(tmp_path)
  assert (cell["seeds"], cell["steps"], cell["stuck_agents"]) == ([6, 5], [10, 20], [[1], []])
  assert (cell["final_returns"], cell["curve"]) == ([15.0, 1000.12], [[2.0, 15.0], [5.0, 1000.12]])
  assert cell["metrics"] == {"loss": [[1.0, 2.0], [3.0, 4.0]]}
  assert (cell["quality"], cell["settings_of"], cell["episodes_per_evaluation"]) == ("mine", "random", 2)
