"""The figure of the target's uncertainty: two tiny cells end to end."""

import json

import numpy as np
import pytest

from experiments import cells, metric_curves, uncertainty_figure
from tests.experiments import binaries

TINY = ("--qualities=random", "--ensemble_size=3", "--set=batch_size=8", "--set=hidden_size=8", "--set=num_proposals=2",
        "--gradient_steps=20", "--evaluations=2", "--episodes=2", "--num_seeds=2")  # fmt: skip


def call(folder, *arguments):
  places = (f"--out={folder / 'out'}", f"--runs_dir={folder / 'runs'}", f"--data_dir={folder / 'data'}")
  return binaries.call(uncertainty_figure.main, uncertainty_figure.FLAGS, *TINY, *places, *arguments)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
  folder = tmp_path_factory.mktemp("uncertainty")
  binaries.make_data("spread", "random", folder / "data")
  status, out, err = call(folder)
  assert status == 0, err
  return folder / "out", out


def test_the_files_say_what_the_cells_hold(drawn):
  folder, out = drawn
  rows = {row["algorithm"]: row for row in json.loads((folder / "uncertainty.json").read_text())}
  assert list(rows) == ["cfcql", "icql_qs"]
  for name, row in rows.items():
    (path,) = (folder / "cells").glob(f"spread-random-{name}-ensemble_size_3-*.json")
    metrics = {n: np.array(values) for n, values in cells.load(path)["metrics"].items()}
    assert row["config"]["ensemble_size"] == 3 and (metrics["target_std"] > 0).all()
    np.testing.assert_allclose(row["numbers"]["target_std"]["end"]["seeds"], metrics["target_std"][:, 1])
    relative = metrics["target_std"][:, 1] / np.abs(metrics["target_mean"][:, 1])
    np.testing.assert_allclose(row["numbers"]["relative"]["end"]["mean"], relative.mean())
  means = [rows[name]["numbers"]["target_std"]["end"]["mean"] for name in ("cfcql", "icql_qs")]
  text = (folder / "uncertainty.md").read_text()
  assert text in out and f"| {means[1] / means[0]:.2f} | 2 and 2 |" in text
  assert (folder / "uncertainty.png").stat().st_size > 5000


def test_nothing_that_is_drawn_is_cut_off(drawn, tmp_path, monkeypatch):
  found, kept = cells.load_all(drawn[0] / "cells"), []
  tenfold = [[10 * value for value in row] for row in found[1]["metrics"]["target_std"]]
  found.append(found[1] | {"quality": "expert", "metrics": found[1]["metrics"] | {"target_std": tenfold}})
  panels = metric_curves.panels
  monkeypatch.setattr(metric_curves, "panels", lambda *args: kept.append(panels(*args)) or kept[0])
  uncertainty_figure.draw(tmp_path / "picture.png", found)
  for axes in kept[0][1].flat:
    for line in axes.lines:
      x, y = line.get_data()
      assert axes.get_xlim()[0] <= min(x) and max(x) <= axes.get_xlim()[1]
      assert axes.get_ylim()[0] == 0 and max(y) <= axes.get_ylim()[1]


def test_one_of_the_two_is_shown_alone(drawn, tmp_path):
  (path,) = (drawn[0] / "cells").glob("spread-random-icql_qs-*.json")
  cells.save(tmp_path / "out" / "cells" / path.name, cells.load(path))
  status, out, err = call(tmp_path, "--show")
  assert status == 0, err
  assert "| spread-random-v1 | std over members | - |" in out and "| - | 0 and 2 |" in out


def test_bad_calls_are_one_sentence(tmp_path):
  assert "holds none of these cells yet" in binaries.sentence(*call(tmp_path, "--show")[::2])
  assert "ensemble_size" in binaries.sentence(*call(tmp_path, "--ensemble_size=1")[::2])
