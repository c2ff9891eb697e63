"""The figure of SPaCQL's weights: one tiny cell end to end, the normalisation by hand."""

import json

import numpy as np
import pytest

from experiments import cells, metric_curves, weights_figure
from marl_offline.evaluation.statistics import Named
from tests.experiments import binaries

TINY = ("--qualities=random", "--set=batch_size=8", "--set=hidden_size=8", "--set=ensemble_size=3",
        "--set=num_proposals=2", "--gradient_steps=20", "--evaluations=4", "--episodes=2", "--num_seeds=2")  # fmt: skip


def call(folder, *arguments):
  places = (f"--out={folder / 'out'}", f"--runs_dir={folder / 'runs'}", f"--data_dir={folder / 'data'}")
  return binaries.call(weights_figure.main, weights_figure.FLAGS, *TINY, *places, *arguments)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
  folder = tmp_path_factory.mktemp("weights")
  binaries.make_data("spread", "random", folder / "data")
  status, out, err = call(folder)
  assert status == 0, err
  return folder / "out", out


def test_the_files_say_what_the_cell_holds(drawn):
  folder, out = drawn
  (path,) = (folder / "cells").glob("spread-random-spacql-*.json")
  metrics = {name: np.array(values) for name, values in cells.load(path)["metrics"].items()}  # [seed, evaluation]
  (row,) = json.loads((folder / "weights.json").read_text())
  assert (row["quality"], row["seeds"], row["steps"]) == ("random", [0, 1], [5, 10, 15, 20])
  numbers = row["numbers"]
  for name in ("w_1", "w_2", "w_3", "u_1", "u_2", "u_3", "k_eff"):
    np.testing.assert_allclose(numbers[name]["end"]["seeds"], metrics[name][:, 3])
    np.testing.assert_allclose(numbers[name]["last_half"]["mean"], metrics[name][:, 2:].mean(), rtol=1e-6)
  ends = [numbers[f"w_{k}"]["end"]["mean"] for k in (1, 2, 3)]
  np.testing.assert_allclose([sum(ends), np.dot(ends, [1, 2, 3])], [1, numbers["k_eff"]["end"]["mean"]], rtol=1e-4)
  normalized = np.array([numbers[f"normalized_w_{k}"]["end"]["seeds"] for k in (1, 2, 3)])  # [k, seed]
  assert normalized.min(axis=0).tolist() == [0, 0] and normalized.max(axis=0).tolist() == [1, 1]
  text = (folder / "weights.md").read_text()
  assert text in out and metric_curves.told(numbers["w_1"]["end"]) in text and "weights.md, .json and .png" in out
  assert (folder / "weights.png").stat().st_size > 5000


def test_min_max_by_hand():
  # 0.2, 0.3, 0.6: (0.3 - 0.2) / 0.4 = 1/4 in the middle; all alike: 1/2
  weight = Named(np.array([[[0.2, 0.3, 0.6], [1 / 3, 1 / 3, 1 / 3]]]), ("seed", "evaluation", "k"))
  np.testing.assert_allclose(weights_figure.min_max(weight).values, [[[0, 0.25, 1], [0.5, 0.5, 0.5]]])


def test_cells_of_several_tasks_are_drawn_to_their_ends(drawn, tmp_path, monkeypatch):
  """Two agents beside three, and trained for longer."""
  (path,) = (drawn[0] / "cells").glob("*.json")
  three, kept = cells.load(path), []
  two = three | {"task": "mine", "dataset": three["dataset"] | {"name": "mine-v1"}, "steps": [10, 20, 30, 40]}
  two["metrics"] = {name: values for name, values in three["metrics"].items() if name not in ("w_3", "u_3")}
  text = weights_figure.markdown([weights_figure.facts_of(cell) for cell in (two, three)])
  assert all("w_3" in line for line in text.splitlines() if line.startswith("| data |"))
  assert all(" | - | " in line for line in text.splitlines() if line.startswith("| mine-v1 |"))
  panels = metric_curves.panels
  monkeypatch.setattr(metric_curves, "panels", lambda *given: kept.append((given, panels(*given))) or kept[0][1])
  weights_figure.draw(tmp_path / "picture.png", [three, two])
  assert kept[0][0][2] == 40 and "spread, mine" in kept[0][0][3]


def test_numbers_by_hand():
  # the last half are the third and the fourth. Seeds 1..4 and 3, 3, 3, 8: ends 4, 8; halves 3.5, 5.5
  series = Named(np.array([[1, 2, 3, 4], [3, 3, 3, 8]]), ("seed", "evaluation"))
  numbers = metric_curves.numbers(series, np.array([False, False, True, True]))
  assert numbers["end"] == {"mean": 6.0, "std": 2.0, "seeds": [4.0, 8.0]}
  assert numbers["last_half"] == {"mean": 4.5, "std": 1.0, "seeds": [3.5, 5.5]}
  assert metric_curves.told(numbers["end"]) == "6.000 +- 2.000"


def test_curves_lie_inside_their_panels():
  _, axes = metric_curves.panels(1, 2, 20, "a title")
  metric_curves.band(axes[0, 1], [10, 20], Named(np.array([[1.0, 5.0], [3.0, 9.0]]), ("seed", "evaluation")), "black")
  (line,) = axes[0, 1].lines
  assert line.get_xydata().tolist() == [[10, 2], [20, 7]]  # means over seeds
  for (low, high), (first, last) in zip(
    (axes[0, 1].get_xlim(), axes[0, 1].get_ylim()), ((10, 20), (1, 9)), strict=True
  ):
    assert low <= first and last <= high  # the band of one std reaches from 1 to 9


def test_bad_calls_are_one_sentence(drawn, tmp_path):
  assert "holds none of these cells yet" in binaries.sentence(*call(tmp_path, "--show")[::2])
  assert "--task=spraed is not known" in binaries.sentence(*call(tmp_path, "--task=spraed")[::2])
  (path,) = (drawn[0] / "cells").glob("*.json")
  cell = cells.load(path)
  del cell["metrics"]["u_2"]
  cells.save(tmp_path / "out" / "cells" / path.name, cell)
  assert "has no metric u_2: its runs are older" in binaries.sentence(*call(tmp_path, "--show")[::2])
