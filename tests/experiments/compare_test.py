"""compare: what counts as one row, what is refused, and that an unfinished run is marked."""

import json

import numpy as np
import pytest
from matplotlib import figure

from experiments import benchmark, compare, published, settings, train_prey, train_request
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


def test_a_runs_score_is_of_its_end_each_seed_at_its_number(tmp_path):
  """Scores 90, 20, 50 and 10, 80, 30 over training, each the mean of three episodes: 40 +- 10 at the end."""
  folder, scores = make_run(tmp_path / "a", seed=4, also=(2,)), np.array([[90.0, 20.0, 50.0], [10.0, 80.0, 30.0]])
  returns = 159.8 + 3.57 * (scores[:, :, None] + np.array([-60.0, 0.0, 60.0]))
  steps = np.array([3_335, 6_670, 10_005])
  np.savez(folder / "returns.npz", returns=returns, axes=np.array(["seed", "evaluation", "episode"]), step=steps)
  status, out, err = call(tmp_path, folder)
  assert status == 0 and "| 2 | 40.0 +- 10.0 | 50.0, 30.0 |" in out, err
  (row,) = json.loads((tmp_path / "out" / "compare.json").read_text())
  assert (row["seeds"], row["scores"], row["std"]) == ([4, 2], [50.0, 30.0], pytest.approx(10.0))
  assert row["curves"] == [{"steps": steps.tolist(), "score": scores.tolist(), "seeds": [4, 2]}]


@pytest.mark.parametrize("name", ["config", "team_reward", "gradient_steps"])
def test_runs_of_one_name_and_other_settings_are_not_averaged(tmp_path, name):
  """As a default that changed since would make them."""
  folders = [make_run(tmp_path / "a"), make_run(tmp_path / "b", seed=1)]
  path = folders[1] / "config.json"
  config = json.loads(path.read_text())
  config["run"][name] = {"config": {"alpha": 2.5}, "team_reward": "first_agent", "gradient_steps": 20_010}[name]
  path.write_text(json.dumps(config))
  assert f"two runs of spacql on spread-random-v1 differ in {name}" in binaries.sentence(*call(tmp_path, *folders)[::2])


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


# CFCQL's table 5 and SPaCQL's column of its table 2, line by line as they are printed.
PRINTED = """
data: maicq, matd3_bc, icql, omar, macql, iql, awac, cfcql, spacql
spread random: 6.3 3.5, 9.8 4.9, 24.0 9.8, 34.4 5.3, 45.6 8.7, 5.5 1.1, 0.5 3.7, 62.2 8.1, 78.2 14
spread medium-replay: 13.6 5.7, 15.4 5.6, 20.0 8.4, 37.9 12.3, 25.5 5.9, 10.8 4.5, 2.7 3, 52.2 9.6, 71.9 13.2
spread medium: 29.3 5.5, 29.3 4.8, 34.1 7.2, 47.9 18.9, 14.3 20.2, 28.2 3.9, 25.7 4.1, 65.0 10.2, 78.6 6.4
spread expert: 104.0 3.4, 108.3 3.3, 98.2 5.2, 114.9 2.6, 12.2 31, 103.7 2.5, 103.3 3.5, 112 4, 111.9 4.5
tag random: 2.2 2.6, 5.7 3.5, 5.0 8.2, 11.1 2.8, 25.2 11.5, 1.3 1.6, 0.2 1.0, 78.5 15.6, 89.4 13.7
tag medium-replay: 34.5 27.8, 28.7 20.9, 24.8 17.3, 47.1 15.3, 11.9 9.2, 23.2 12, 8.3 5.3, 71.1 6, 75.0 12.7
tag medium: 63.3 20.0, 65.1 29.5, 61.7 23.1, 66.7 23.2, 55 43.2, 53.6 19.9, 50.9 19.0, 68.5 21.8, 61.9 20
tag expert: 113 14.4, 115.2 12.5, 93.9 14.0, 116.2 19.8, 108.4 21.5, 109.3 10.1, 106.5 10.1, 118.2 13.1, 111.2 16.4
world random: 1.0 3.2, 2.8 5.5, 0.6 2.0, 5.9 5.2, 11.7 11, 2.9 4.0, -2.4 2.0, 68 20.8, 94.3 7.4
world medium-replay: 12.0 9.1, 17.4 8.1, 29.6 13.8, 42.9 19.5, 13.2 16.2, 41.5 9.5, 8.9 5.1, 73.4 23.2, 105.2 11.1
world medium: 71.9 20.0, 73.4 9.3, 58.6 11.2, 74.6 11.5, 67.4 48.4, 70.5 15.3, 63.9 14.2, 93.8 31.8, 98.1 17.7
world expert: 109.5 22.8, 110.3 21.3, 71.9 28.1, 110.4 25.7, 99.7 31, 107.8 17.7, 107.6 15.6, 119.7 26.4, 112.3 7.8
"""


def test_every_published_number_stands_where_it_is_printed():
  (_, names), *lines = (line.split(": ") for line in PRINTED.strip().splitlines())
  for place, entries in lines:
    for name, entry in zip(names.split(", "), entries.split(", "), strict=True):
      found = published.lookup(name, *place.split())
      assert found[:2] == tuple(map(float, entry.split())), (name, place)
      assert found.source == ("arXiv:2511.07629 table 2" if name == "spacql" else "arXiv:2309.12696 table 5")
  of_table_1 = [
    [published.lookup("icql_qs", task, quality) for quality in settings.QUALITIES] for task in ("spread", "world")
  ]
  assert [[each.mean for each in row] for row in of_table_1] == [[77.7, 58.2, 62.5, 97.2], [89.9, 82.5, 88.6, 106.5]]
  assert published.lookup("icql_qs", "tag", "random") is None


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
