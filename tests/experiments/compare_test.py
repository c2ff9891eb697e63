"""compare: what counts as one row, what is refused, and that an unfinished run is marked."""

import json

import numpy as np
import pytest
from matplotlib import figure

from experiments import benchmark, compare, published, train_prey, train_request
from tests.experiments import binaries


def make_run(
  folder, *, seed=0, algorithm="spacql", protocol="paper", reached=10_005, changed=(), data="a" * 64, episodes=3,
  precision=None, minibatches=None, also=(),
):  # fmt: skip
  """A run folder with nothing in it but what compare reads."""
  folder.mkdir()
  flags = dict.fromkeys(train_request.IDENTITY) | {"num_seeds": 1, "first_seed": seed}
  flags |= {"algorithm": algorithm, "task": "spread", "quality": "random", "protocol": protocol, "set": list(changed)}
  flags["precision"] = precision
  data = {"name": "spread-random-v1", "quality": "random", "origin": "collected", "sha256": {"obs": data}}
  data |= {"task": "spread", "folder": "data/spread-random-v1"}
  run = {"config": {"alpha": 0.5, **dict(item.split("=") for item in changed)}, "gradient_steps": 10_005}
  run["minibatches"], seeds = minibatches, [seed, *also]
  config = {"flags": flags, "seeds": seeds, "run": run, "dataset": data | {"mean_return": 159.8}}
  config |= {"device": "cpu", "versions": {}, "commit": None}
  (folder / "config.json").write_text(json.dumps(config))
  steps = list(range(3_335, reached + 1, 3_335))
  returns = np.full((len(seeds), len(steps), episodes), 159.8 + 357.0 * (0.5 + 0.1 * seed))  # scores 50 + 10 * seed
  np.savez(folder / "returns.npz", returns=returns, axes=np.array(["seed", "evaluation", "episode"]), step=steps,
           seed=seeds)  # fmt: skip
  return folder


def call(tmp_path, *folders):
  arguments = [f"--run={folder}" for folder in folders]
  return binaries.call(compare.main, compare.FLAGS, *arguments, f"--out={tmp_path / 'out'}")


def test_seeds_are_one_row_and_other_protocols_another(tmp_path):
  folders = [make_run(tmp_path / "a"), make_run(tmp_path / "b", seed=1, reached=6_670)]
  folders.append(make_run(tmp_path / "c", protocol="layer_norm"))
  status, out, err = call(tmp_path, *folders)
  assert status == 0, err
  assert (
    "| spread-random-v1 | spacql | 10005 (so far 10005, 6670) | 2 | 55.0 +- 5.0 | 50.0, 60.0 | 0.0 | 78.2 +- 14.0 |"
    in out
  )
  assert "| spread-random-v1 | spacql (layer_norm) | 10005 | 1 | 50.0 | 50.0 | 0.0 | - |" in out
  rows = json.loads((tmp_path / "out" / "compare.json").read_text())
  assert [row["seeds"] for row in rows] == [[0, 1], [0]]
  assert [row["std"] for row in rows] == [5.0, None]  # one seed has no spread
  assert (tmp_path / "out" / "compare.png").stat().st_size > 5000


def test_the_legend_lies_inside_the_picture(tmp_path, monkeypatch):
  """However long the names are, in one panel."""
  changes = [f"alpha={alpha}" for alpha in (0.25, 0.125, 0.0625)]
  folders = [make_run(tmp_path / f"{i}", changed=[each]) for i, each in enumerate(changes)]
  drawn, save = [], figure.Figure.savefig
  monkeypatch.setattr(
    figure.Figure, "savefig", lambda self, *given, **more: (drawn.append(self), save(self, *given, **more))
  )
  status, _, err = call(tmp_path, *folders)
  assert status == 0, err
  box = drawn[0].legends[0].get_window_extent()
  assert box.x0 >= 0 and box.x1 <= drawn[0].bbox.width and len(drawn[0].legends[0].get_texts()) == 4


@pytest.mark.parametrize(
  ("change", "words"),
  [
    ({"seed": 0}, "seed 0 of spacql on spread-random-v1 is there twice"),
    ({"seed": 1, "data": "b" * 64}, "on different data sets that are all called spread-random-v1; compare apart"),
    ({"algorithm": "cfcql", "data": "b" * 64}, "on different data sets that are all called spread-random-v1"),
    ({"seed": 1, "episodes": 5}, "differ in episodes_per_evaluation"),
    ({"seed": 1, "minibatches": 50}, "differ in minibatches"),
    ({"seed": 2, "also": (0,)}, "seed 0 of spacql"),  # and not its first, 2
  ],
)
def test_runs_that_are_not_alike_are_not_averaged(tmp_path, change, words):
  status, _, err = call(tmp_path, make_run(tmp_path / "a"), make_run(tmp_path / "b", **change))
  assert words in binaries.sentence(status, err)


def test_another_precision_is_another_row(tmp_path):
  status, out, err = call(tmp_path, make_run(tmp_path / "a"), make_run(tmp_path / "b", precision="tensorfloat32"))
  assert status == 0, err
  assert "| spacql (tensorfloat32) | 10005 | 1 |" in out and "| spacql | 10005 | 1 |" in out


def test_a_folder_without_readable_evaluations_is_one_sentence(tmp_path):
  folder = make_run(tmp_path / "a")
  (folder / "returns.npz").write_bytes((folder / "returns.npz").read_bytes()[:100])
  status, _, err = call(tmp_path, folder)
  assert "has no evaluation that can be read" in binaries.sentence(status, err)
  status, _, err = call(tmp_path)
  assert "--run is missing" in binaries.sentence(status, err)


def test_published_numbers_are_found_by_name():
  assert published.lookup("spacql", "world", "medium-replay")[:2] == (105.2, 11.1)
  assert published.lookup("icql_qs", "spread", "random")[:2] == (77.7, None)
  assert published.lookup("bc", "spread", "random") is None


@pytest.mark.parametrize(
  ("module", "arguments", "words"),
  [
    (train_prey, ["--task=spread"], "--task=spread is not known; known: tag, world"),
    (train_prey, ["--iterations=3"], "--iterations=3 must be a positive multiple of 2"),
    (benchmark, ["--what=everything"], "--what=everything is not known"),
    (benchmark, ["--copies=0"], "copies"),
  ],
)
def test_other_binaries_refuse_in_one_sentence(module, arguments, words):
  status, _, err = binaries.call(module.main, module.FLAGS, *arguments)
  assert words in binaries.sentence(status, err)
