"""The table's binary: one tiny cell end to end, seeds added later, runs adopted, what is stopped or broken."""

import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from experiments import cells, collect, grid, locks, main_table, settings, table_view
from tests.experiments import binaries

ROOT = pathlib.Path(__file__).resolve().parents[2]
TINY = ("--algorithms=bc", "--tasks=spread", "--qualities=random", "--set=batch_size=8", "--gradient_steps=20",
        "--evaluations=2", "--episodes=3")  # fmt: skip
NAME = "spread-random-bc-batch_size_8-gradient_steps_20-evaluations_2-episodes_3"


def call(folder, *arguments):
  places = (f"--out={folder / 'out'}", f"--runs_dir={folder / 'runs'}", f"--data_dir={folder / 'data'}")
  return binaries.call(main_table.main, main_table.FLAGS, *TINY, *places, *arguments)


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
  """A table of one cell, first with one seed, then with three."""
  folder = tmp_path_factory.mktemp("table")
  binaries.make_data("spread", "random", folder / "data")
  first = call(folder, "--num_seeds=1")
  assert first[0] == 0, first[2]
  before = cells.load(folder / "out" / "cells" / f"{NAME}.json")
  status, out, err = call(folder, "--num_seeds=3")
  assert status == 0, err
  return folder, before, out


def test_more_seeds_leave_what_is_done_alone(filled):
  folder, before, _ = filled
  cell = cells.load(folder / "out" / "cells" / f"{NAME}.json")
  assert (before["seeds"], cell["seeds"]) == ([0], [0, 1, 2])
  assert cell["final_returns"][0] == before["final_returns"][0] and cell["curve"][0] == before["curve"][0]
  assert [run["seeds"] for run in cell["runs"]] == [[0], [1, 2]]
  assert cell["steps"] == [10, 20] and np.shape(cell["curve"]) == (3, 2)
  assert cell["online_episodes_for_selection"] == 0
  assert all(np.shape(values) == (3, 2) for values in cell["metrics"].values()) and "actor_loss" in cell["metrics"]
  np.testing.assert_allclose(np.array(cell["curve"])[:, -1], cell["final_returns"])
  assert cell["stuck_agents"] == [[], [], []]
  assert sorted(path.name for path in (folder / "runs").glob("[!.]*")) == [f"{NAME}-s0", f"{NAME}-s1-2"]


def test_the_files_say_the_same(filled):
  folder, _, out = filled
  cell = cells.load(folder / "out" / "cells" / f"{NAME}.json")
  told = f"{cells.score(cell).mean():.1f} +- {cells.score(cell).std():.1f}"
  text = (folder / "out" / "table.md").read_text()
  assert text in out and f"**{told}**" in text and "no online episode was spent on choosing" in text
  header, line = (folder / "out" / "table.csv").read_text().splitlines()
  row = dict(zip(header.split(","), line.split(","), strict=True))
  np.testing.assert_allclose(float(row["score_mean"]), cells.score(cell).mean())
  assert row["seeds"] == "3" and row["origin"] == "collected"
  assert (folder / "out" / "table.png").stat().st_size > 5000


def test_nothing_is_trained_where_nothing_is_missing(filled, monkeypatch):
  monkeypatch.setattr(grid, "_train", None)
  assert call(filled[0], "--num_seeds=2")[0] == 0
  assert call(filled[0], "--num_seeds=9", "--show")[0] == 0


def test_a_finished_run_is_adopted_once(filled, tmp_path):
  folder = filled[0]
  run = folder / "runs" / f"{NAME}-s1-2"
  for _ in range(2):
    grid.adopt([str(run)], tmp_path)
  assert cells.load(tmp_path / "cells" / f"{NAME}.json")["seeds"] == [1, 2]
  config = json.loads((run / "config.json").read_text())
  other = tmp_path / "other"
  other.mkdir()
  for name in ("result.json", "metrics.jsonl", "returns.npz"):
    (other / name).write_bytes((run / name).read_bytes())
  config["dataset"]["sha256"]["obs"] = "0" * 64
  (other / "config.json").write_text(json.dumps(config))
  with pytest.raises(cells.runs.UserError, match="differ in dataset and cannot be one cell"):
    cells.join(cells.load(tmp_path / "cells" / f"{NAME}.json"), cells.of_run(other))
  config["dataset"]["sha256"] = json.loads((run / "config.json").read_text())["dataset"]["sha256"]
  for place, name, value, told in (
    (config["run"]["config"], "learning_rate", 0.5, "was trained with learning_rate=0.5, which is now 0.001"),
    (config["flags"], "precision", "tensorfloat32", "was trained with precision=tensorfloat32, which is now float32"),
  ):
    right, place[name] = place[name], value
    (other / "config.json").write_text(json.dumps(config))
    with pytest.raises(cells.runs.UserError, match=told):
      grid.adopt([str(other)], tmp_path / "table")
    assert not (tmp_path / "table").exists()  # and so the same command without --run is none the worse
    place[name] = right
  (other / "metrics.jsonl").write_text("")
  with pytest.raises(cells.runs.UserError, match=r"metrics\.jsonl lacks seed 1 at step 10"):
    cells.of_run(other)


BAD = [
  (
    ["--algorithms=bc,spaqcl"],
    ["--algorithms=spaqcl is not known", "did you mean spacql?", "or a module of your own by its dotted"],
  ),
  (["--qualities=good"], ["--qualities=good is not known"]),
  (["--tasks=spread,tg"], ["--tasks=tg is not known (did you mean tag?)"]),
  (["--set=nothing=1"], ["--set=nothing is not known"]),
  (["--run=nowhere"], ["nowhere is not a run folder"]),
  (["--show"], ["holds none of these cells yet"]),
]


@pytest.mark.parametrize(("arguments", "words"), BAD)
def test_bad_flags_are_one_sentence_and_train_nothing(arguments, words, tmp_path):
  status, _, err = call(tmp_path, *arguments)
  message = binaries.sentence(status, err)
  assert all(word in message for word in words), message
  assert not (tmp_path / "runs").exists()


def test_a_cell_of_other_settings_is_refused_before_anything_is_trained(filled, tmp_path, monkeypatch):
  monkeypatch.setattr(grid, "_train", None)
  cell = cells.load(filled[0] / "out" / "cells" / f"{NAME}.json")
  other = cell | {"config": cell["config"] | {"learning_rate": 0.5}}
  cells.save(tmp_path / "out" / "cells" / f"{NAME}.json", other)
  message = binaries.sentence(*call(tmp_path, "--num_seeds=5")[::2])
  assert "was trained with learning_rate=0.5, which is now 0.001; move it and its runs" in message
  assert call(tmp_path, "--num_seeds=5", "--show")[0] == 0


def test_a_finished_run_counts_only_on_the_same_data(filled, tmp_path):
  """The cell's file is gone, its runs are there, and other data lie under the same name."""
  binaries.make_data("spread", "random", tmp_path / "data", seed=1)
  runs_dir = f"--runs_dir={filled[0] / 'runs'}"
  places = (f"--out={tmp_path / 'out'}", runs_dir, f"--data_dir={tmp_path / 'data'}")
  status, _, err = binaries.call(main_table.main, main_table.FLAGS, *TINY, *places, "--num_seeds=1")
  assert "was trained on a data set spread-random-v1 of other content" in binaries.sentence(status, err)


def test_more_seeds_of_a_cell_are_trained_on_its_own_data_alone(filled, tmp_path, monkeypatch):
  monkeypatch.setattr(grid, "_train", None)
  binaries.make_data("spread", "random", tmp_path / "data", seed=1)
  places = (f"--out={filled[0] / 'out'}", f"--runs_dir={tmp_path}", f"--data_dir={tmp_path / 'data'}")
  status, _, err = binaries.call(main_table.main, main_table.FLAGS, *TINY, *places, "--num_seeds=5")
  assert "was trained on a data set spread-random-v1 of other content than" in binaries.sentence(status, err)


def test_another_run_in_a_cells_place_is_refused_before_anything_is_trained(filled, tmp_path, monkeypatch):
  monkeypatch.setattr(grid, "_train", None)
  other = tmp_path / "runs" / f"{NAME.replace('bc', 'matd3_bc')}-s0"
  other.mkdir(parents=True)
  (other / "config.json").write_bytes((filled[0] / "runs" / f"{NAME}-s0" / "config.json").read_bytes())
  places = (f"--out={tmp_path / 'out'}", f"--runs_dir={tmp_path / 'runs'}", f"--data_dir={filled[0] / 'data'}")
  flags = (*TINY, "--algorithms=bc,matd3_bc", "--num_seeds=1", *places)
  message = binaries.sentence(*binaries.call(main_table.main, main_table.FLAGS, *flags)[::2])
  assert "was begun with algorithm=bc, not matd3_bc; move it, or take another folder" in message


def test_where_all_is_there_it_says_that_nothing_was_trained(filled):
  status, out, err = call(filled[0], "--num_seeds=3")
  assert status == 0, err
  assert f"nothing to train: {filled[0] / 'out' / 'cells'} has 3 seeds of every cell; another --out trains" in out
  assert "nothing to train" not in call(filled[0], "--num_seeds=3", "--show")[1]


def test_a_cell_that_another_process_works_on_is_left_to_it_and_named(filled, tmp_path, monkeypatch):
  folder = filled[0]
  monkeypatch.setattr(grid, "_train", None)
  with locks.alone(folder / "out" / "cells" / f".{NAME}.lock") as alone:
    assert alone
    status, out, err = call(folder, "--num_seeds=5")
  assert status == 0 and f"{NAME} left to another process after" in out
  assert f"another process works on {NAME}; the same command goes on if it ended before" in err


def test_a_signal_in_a_runs_last_moments_ends_the_table_after_its_cell(filled, tmp_path, monkeypatch):
  of_run = grid.train.run

  def run(*arguments):
    of_run(*arguments)
    return grid.train.Stopped("SIGTERM", None)

  monkeypatch.setattr(grid.train, "run", run)
  places = (f"--out={tmp_path / 'out'}", f"--runs_dir={tmp_path / 'runs'}", f"--data_dir={filled[0] / 'data'}")
  more = ("--algorithms=bc,matd3_bc", "--num_seeds=1")
  status, out, _ = binaries.call(main_table.main, main_table.FLAGS, *TINY, *places, *more)
  assert status == 0 and "stopped by SIGTERM; all is saved, and the same command goes on" in out
  assert len(list((tmp_path / "out" / "cells").glob("*.json"))) == 1


def test_a_run_of_before_a_flag_counts_as_its_default(filled, tmp_path):
  for name in ("result.json", "metrics.jsonl", "returns.npz"):
    (tmp_path / "runs" / f"{NAME}-s0").mkdir(parents=True, exist_ok=True)
    (tmp_path / "runs" / f"{NAME}-s0" / name).write_bytes((filled[0] / "runs" / f"{NAME}-s0" / name).read_bytes())
  config = json.loads((filled[0] / "runs" / f"{NAME}-s0" / "config.json").read_text())
  del config["flags"]["precision"], config["run"]["minibatches"]
  (tmp_path / "runs" / f"{NAME}-s0" / "config.json").write_text(json.dumps(config))
  data = f"--data_dir={filled[0] / 'data'}"
  assert call(tmp_path, "--num_seeds=1", data)[0] == 0
  cell = cells.load(tmp_path / "out" / "cells" / f"{NAME}.json")
  assert cell["precision"] == "float32" and cells.identity(cell)["minibatches"] is None
  config["run"]["minibatches"] = 3
  (tmp_path / "runs" / f"{NAME}-s0" / "config.json").write_text(json.dumps(config))
  (tmp_path / "out" / "cells" / f"{NAME}.json").unlink()
  message = binaries.sentence(*call(tmp_path, "--num_seeds=1", data)[::2])
  assert "was trained with minibatches=3, which is now None" in message


def test_converted_data_are_said_to_be(filled):
  cell = cells.load(filled[0] / "out" / "cells" / f"{NAME}.json")
  assert main_table.origins([cell])[0].startswith("Ours are on our own data")
  converted = cell | {"dataset": cell["dataset"] | {"origin": "converted"}, "caveat": "another prey"}
  assert main_table.origins([converted]) == [
    "spread-random-v1 was not collected here but converted from other files; another prey."
  ]
  known = converted | {"algorithm": "cfcql", "set": [], "gradient_steps": 10_005}
  assert table_view.of_paper(known) is None and table_view.of_paper(known | {"caveat": ""}).mean == 62.2


def test_what_trains_nothing_does_not_tell_cells_apart(filled):
  """A config of before the model of the behavior had its field, joined with one of after: uniform weights ask none."""
  cell = cells.load(filled[0] / "out" / "cells" / f"{NAME}.json")
  config = dataclasses.asdict(settings.paper("cfcql", "spread", "random").config)
  older = {name: value for name, value in config.items() if name != "behavior_updates"}
  parts = [cell | {"algorithm": "cfcql", "config": c, "seeds": s} for c, s in ((older, [0, 1, 2]), (config, [3, 4, 5]))]
  assert cells.join(*parts)["seeds"] == [0, 1, 2, 3, 4, 5]
  parts = [part | {"config": part["config"] | {"agent_weights": "softmax"}} for part in parts]
  with pytest.raises(cells.runs.UserError, match="differ in config"):
    cells.join(*parts)


def test_the_last_half_begins_after_the_model_of_the_behavior(filled):
  cell = cells.load(filled[0] / "out" / "cells" / f"{NAME}.json")
  config = dataclasses.asdict(settings.paper("cfcql", "spread", "random").config) | {"behavior_updates": 20}
  cell |= {"algorithm": "cfcql", "config": config, "steps": [10, 20, 30, 40]}
  assert cells.last_half(cell).tolist() == [False, False, True, True]
  weighted = cell | {"config": config | {"agent_weights": "softmax"}}
  assert cells.last_half(weighted).tolist() == [False, False, False, True]


def test_a_damaged_cell_is_one_sentence(filled, tmp_path):
  (tmp_path / "out" / "cells").mkdir(parents=True)
  (tmp_path / "out" / "cells" / f"{NAME}.json").write_text('{"seeds": [0]}')
  assert "is damaged: it has no algorithm" in binaries.sentence(*call(tmp_path)[::2])


def test_a_failed_run_does_not_keep_the_others(tmp_path, monkeypatch):
  monkeypatch.setattr(collect, "make", binaries.make)
  status, out, err = call(tmp_path, "--qualities=random,expert", "--algorithms=bc", "--set=learning_rate=1e38")
  assert status == 1 and "2 of 2 runs failed, --show writes the table of the others" in err and "not finite" in err
  assert "[2/2]" in out


LONGER = ("--algorithms=bc", "--tasks=spread", "--qualities=random", "--set=batch_size=8", "--gradient_steps=2000",
          "--evaluations=20", "--episodes=3", "--num_seeds=1")  # fmt: skip


@pytest.fixture(scope="module")
def whole(filled):
  """The cell of a run that nothing stops."""
  status, _, err = call(filled[0], *LONGER)
  assert status == 0, err
  (path,) = (filled[0] / "out" / "cells").glob("*gradient_steps_2000*.json")
  return path.name, cells.load(path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_stopped_anywhere_and_started_again_it_ends_with_the_same_numbers(filled, whole, tmp_path, number):
  places = (f"--out={tmp_path / 'out'}", f"--runs_dir={tmp_path / 'runs'}", f"--data_dir={filled[0] / 'data'}")
  command = [sys.executable, "-m", "experiments.main_table", *LONGER, *places]
  environment = os.environ | {"JAX_PLATFORMS": "cpu"}
  process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
  deadline = time.monotonic() + 300
  while not list((tmp_path / "runs").glob("*/checkpoints/*00")) and time.monotonic() < deadline:
    assert process.poll() is None
    time.sleep(0.02)
  process.send_signal(number)
  out, err = process.communicate(timeout=300)
  if number == signal.SIGTERM and b"table.md" not in out:  # it may have been too late
    assert (process.returncode, b"all is saved, and the same command goes on" in out) == (0, True), err
  status, _, err = call(tmp_path, *LONGER, places[2])
  assert status == 0, err
  cell = cells.load(tmp_path / "out" / "cells" / whole[0])
  assert cell["curve"] == whole[1]["curve"] and cell["metrics"] == whole[1]["metrics"]


def test_seeds_that_were_asked_for_stuck_policies_join_those_that_were_not(filled):
  folder, before, _ = filled
  later = cells.of_run(folder / "runs" / f"{NAME}-s1-2") | {"stuck_agents": [[1], []]}
  old = {name: value for name, value in before.items() if name != "stuck_agents"}
  assert cells.join(later, old)["stuck_agents"] == [None, [1], []]
