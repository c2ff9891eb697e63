"""Cells taken together: one trained and some made by hand, their files and their refusals."""

import copy
import json
import pathlib

import numpy as np
import pytest

from experiments import aggregate, aggregate_view, cells, main_table
from tests.experiments import binaries

# Of returns 159.8 and 516.8, scores 0 and 100.
ZERO, FULL = 159.8, 516.8
ROOT = pathlib.Path(__file__).resolve().parents[2]


def call(folder, *arguments):
  given = (f"--cells={folder / 'cells'}", f"--out={folder / 'out'}")
  return binaries.call(aggregate.main, aggregate.FLAGS, *given, *arguments)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
  """A tiny cell of behavior cloning with two seeds."""
  folder = tmp_path_factory.mktemp("trained")
  binaries.make_data("spread", "random", folder / "data")
  tiny = ("--algorithms=bc", "--tasks=spread", "--qualities=random", "--gradient_steps=20", "--evaluations=2")
  places = (f"--out={folder}", f"--runs_dir={folder / 'runs'}", f"--data_dir={folder / 'data'}")
  status, _, err = binaries.call(
    main_table.main, main_table.FLAGS, *tiny, "--episodes=3", "--set=batch_size=8", "--num_seeds=2", *places
  )
  assert status == 0, err
  (path,) = (folder / "cells").glob("*.json")
  return folder, cells.load(path)


def made(cell, algorithm, quality, scores_of_seeds):
  """A cell like it with other final scores."""
  other, count = copy.deepcopy(cell), len(scores_of_seeds)
  raw = [ZERO + (FULL - ZERO) * score / 100 for score in scores_of_seeds]
  return other | {
    "algorithm": algorithm, "quality": quality, "set": [], "seeds": list(range(count)), "final_returns": raw,
    "dataset": cell["dataset"] | {"name": f"spread-{quality}-v1"}, "curve": [[ZERO] * 22 + [value] for value in raw],
    "metrics": {}, "settings_of": quality, "gradient_steps": 10_005, "episodes_per_evaluation": 100,
    "steps": [*range(435, 10_006, 435)],
  }  # fmt: skip


GRID = {
  ("spacql", "random"): [10, 20, 90], ("spacql", "expert"): [50, 50, 50],
  ("cfcql", "random"): [10, 30], ("cfcql", "expert"): [40, 40],
  ("icql_qs", "expert"): [60, 60, 60],
}  # fmt: skip


@pytest.fixture(scope="module")
def written(trained, tmp_path_factory):
  """The grid, in two folders."""
  folder = tmp_path_factory.mktemp("grid")
  for (algorithm, quality), values in GRID.items():
    place = folder / ("more" if algorithm == "icql_qs" else "cells")
    cells.save(place / f"{quality}-{algorithm}.json", made(trained[1], algorithm, quality, values))
  status, out, err = call(folder, f"--cells={folder / 'more'}")
  assert status == 0, err
  return folder, out


def test_a_trained_cell_alone(trained):
  folder, cell = trained
  status, out, err = call(folder, "--of=bc (batch_size=8)")
  assert status == 0, err
  file = json.loads((folder / "out" / "marl_eval.json").read_text())
  runs = file["mpe"]["spread-random-v1, 20 updates, 3 episodes, 2 evaluations"]["bc (batch_size=8)"]
  assert list(runs) == ["seed_0", "seed_1"]
  assert list(runs["seed_1"]) == ["step_1", "step_2", "absolute_metrics"]  # marl-eval takes the last for the absolute
  first, final = runs["seed_1"]["step_1"], runs["seed_1"]["absolute_metrics"]
  assert first["step_count"] == 10 and first["return"] == [cell["curve"][1][0]]
  assert final["return"] == [cell["final_returns"][1]]
  np.testing.assert_allclose(final["normalized_score"], [cells.score(cell)[1]], atol=1e-4)
  facts = json.loads((folder / "out" / "aggregate.json").read_text())
  assert facts["against_each"] == []
  np.testing.assert_allclose(
    facts["profiles"]["algorithms"]["bc (batch_size=8)"]["iqm"]["value"], cells.score(cell).mean()
  )
  assert "marl-eval itself" not in out and (folder / "out" / "aggregate.png").stat().st_size > 5000


def test_comparisons_by_hand(written):
  folder, out = written
  facts = json.loads((folder / "out" / "aggregate.json").read_text())
  first, second = facts["against_each"]
  # two seeds each: {10, 20} against {10, 30}: 1/2, 0, 1, 0 -> 3/8; 50 against 40: 1. Mean 11/16
  assert (first["over"], first["seeds"], first["datasets"]) == ("cfcql", 2, ["spread-random-v1", "spread-expert-v1"])
  assert first["probability_each"] == {"spread-random-v1": 0.375, "spread-expert-v1": 1.0}
  assert first["probability_of_improvement"]["value"] == pytest.approx(11 / 16)
  assert first["iqm_of"]["value"] == pytest.approx((20 + 50) / 2)  # of 10, 20, 50, 50 the middle two
  assert first["iqm_over"]["value"] == pytest.approx((30 + 40) / 2)
  low, high = first["probability_of_improvement"]["ci95"]
  assert 0.5 <= low < 11 / 16 < high <= 1  # the second data set gives 1 in every draw
  # icql_qs has the expert data alone, with three seeds
  assert (second["over"], second["seeds"], second["datasets"]) == ("icql_qs", 3, ["spread-expert-v1"])
  assert second["probability_of_improvement"] == {"value": 0.0, "ci95": [0.0, 0.0]}
  assert "| cfcql | 2 | 2 | 0.69 [" in out and "| icql_qs | 1 | 3 | 0.00 [0.00, 0.00] |" in out


def test_profiles_are_of_those_with_every_data_set(written):
  folder, out = written
  whole = json.loads((folder / "out" / "aggregate.json").read_text())["profiles"]
  assert (list(whole["algorithms"]), whole["left_out"], whole["seeds"]) == (["spacql", "cfcql"], ["icql_qs"], 2)
  above = dict(zip(whole["levels"], whole["algorithms"]["spacql"]["above"], strict=True))
  assert (above[5.0], above[15.0], above[30.0], above[50.0]) == (1, 0.75, 0.5, 0)  # of 10, 20, 50, 50
  assert "Without all of them, so not in this list: icql_qs." in out
  assert aggregate_view.counted(1, 3) == "1 data set x 3 seeds"


def test_what_marl_eval_would_refuse_is_said(written):
  folder, out = written
  assert "icql_qs lacks spread-random-v1; the cells have other seeds" in out
  assert (folder / "out" / "aggregate.png").stat().st_size > 5000
  status, out, err = call(folder, "--algorithms=spacql,cfcql", "--num_seeds=2")
  assert status == 0 and "marl-eval itself" not in out, err
  status, out, _ = call(folder, "--num_seeds=3")
  assert status == 0 and "cfcql" not in out
  other = {"mpe": {"a": {"x": {"seed_0": {"step_1": {}, "absolute_metrics": {}}}},
                   "b": {"x": {"seed_0": {"step_1": {}, "step_2": {}, "absolute_metrics": {}}}}}}  # fmt: skip
  assert aggregate.not_rectangular(other) == ["the tasks have 1 and 2 evaluations"]


def test_cells_of_other_data_or_length_stand_apart(trained):
  cell = made(trained[1], "cfcql", "expert", [1, 2])
  names = [cell["dataset"]["name"], "spread-expert-v2", "spread-expert_roles-v1.rows51200"]
  places = [aggregate.place_of(cell | {"dataset": cell["dataset"] | {"name": name}}) for name in names]
  assert places == names  # versions of a data set are not one data set
  shorter = cell | {"gradient_steps": 870, "steps": [435, 870]}
  assert aggregate.place_of(shorter) == "spread-expert-v1, 870 updates"
  assert aggregate.place_of(cell | {"episodes_per_evaluation": 5}) == "spread-expert-v1, 5 episodes"
  assert aggregate.place_of(cell | {"steps": [10_005]}) == "spread-expert-v1, 1 evaluations"


def test_the_newest_data_of_each_quality_count_unless_others_are_named(trained, tmp_path):
  names = ["random-v1", "random-v1.seed1", "expert-v1", "expert-v2", "expert-v10", "expert-v2.rows9", "odd-v1.seed1"]
  for number, name in enumerate(names):
    cell = made(trained[1], "bc", name.split("-")[0], [number])
    cell["dataset"]["name"], cell["settings_of"] = f"spread-{name}", "expert"
    cells.save(tmp_path / "cells" / f"{number}.json", cell)

  def data_sets(*arguments):
    status, _, err = call(tmp_path, "--of=bc", *arguments)
    assert status == 0, err
    return json.loads((tmp_path / "out" / "aggregate.json").read_text())["profiles"]["datasets"]

  assert sorted(data_sets()) == ["spread-expert-v10", "spread-odd-v1.seed1", "spread-random-v1"]
  assert data_sets("--datasets=spread-expert-v1,spread-expert-v2") == ["spread-expert-v1", "spread-expert-v2"]
  refused = binaries.sentence(*call(tmp_path, "--of=bc", "--datasets=spread-expert-v3")[::2])
  assert "--datasets=spread-expert-v3 is not known (did you mean" in refused


def test_the_committed_cells_can_be_taken_together(tmp_path):
  flags = (f"--cells={ROOT / 'results/mpe/cells'}", f"--out={tmp_path}")
  status, out, err = binaries.call(aggregate.main, aggregate.FLAGS, *flags)
  assert status == 0 and "spacql against" in out, err


def test_bad_calls_are_one_sentence(written, tmp_path):
  folder, _ = written
  assert "holds no cells" in binaries.sentence(*call(tmp_path)[::2])
  assert "--of=spaqcl is not known (did you mean spacql?)" in binaries.sentence(*call(folder, "--of=spaqcl")[::2])
  assert "--qualities=good is not known" in binaries.sentence(*call(folder, "--qualities=good")[::2])
  assert "no cell is left" in binaries.sentence(*call(folder, "--num_seeds=9")[::2])
  again = f"--cells={folder / 'cells'}"
  assert "seed 0 of cfcql on spread-expert-v1 is there twice" in binaries.sentence(*call(folder, again)[::2])


def test_labels_with_commas_can_be_asked_for(written):
  folder, _ = written
  assert aggregate.labels(["spacql (ensemble_size=2", "sharpness=0.0)", "cfcql"]) == [
    "spacql (ensemble_size=2, sharpness=0.0)",
    "cfcql",
  ]
  assert aggregate.labels(["x (a=1", "b=(1", "2))", "cfcql"]) == ["x (a=1, b=(1, 2))", "cfcql"]
  refused = binaries.sentence(*call(folder, "--algorithms=spacql (ensemble_size=2, sharpness=0.0),cfcql")[::2])
  assert "--algorithms=spacql (ensemble_size=2, sharpness=0.0) is not known" in refused
