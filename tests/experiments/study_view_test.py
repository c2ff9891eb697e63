"""The studies: one tiny run of each end to end, the numbers of table and picture by hand, refusals."""

import csv
import io

import numpy as np
import pytest

from experiments import agents_study, cells, coupling_study, recipes, study_view, table_view
from marl_offline.datasets import storage
from tests.experiments import binaries

TINY = ("--set=batch_size=8", "--gradient_steps=20", "--evaluations=2", "--episodes=3", "--ensemble_size=2")


def call(module, folder, *arguments):
  places = (f"--out={folder / 'out'}", f"--runs_dir={folder / 'runs'}", f"--data_dir={folder / 'data'}")
  return binaries.call(module.main, module.FLAGS, *TINY, *places, *arguments)


def read(folder):
  text = (folder / "out" / "study.md").read_text()
  assert (folder / "out" / "study.png").stat().st_size > 5000
  return text, list(csv.DictReader(io.StringIO((folder / "out" / "study.csv").read_text())))


def test_coupling_end_to_end(tmp_path):
  given = ("--kappas=1,0", "--algorithms=bc", "--rows=100", "--num_seeds=2")
  status, out, err = call(coupling_study, tmp_path, *given)
  assert status == 0, err
  text, rows = read(tmp_path)
  assert text in out
  assert [(row["kappa"], row["algorithm"], row["seeds"]) for row in rows] == [("0.0", "bc", "2"), ("1.0", "bc", "2")]
  assert [row["dataset"] for row in rows] == [f"spread-random_kappa{k}-v1.rows100" for k in "01"]
  action = [storage.load(tmp_path / "data" / row["dataset"])[0].action for row in rows]
  assert [(each == each[:, :1]).all(axis=(1, 2)).mean() for each in action] == [0.0, 1.0]
  assert all(row["weights"] == "" for row in rows)
  status, out, err = call(coupling_study, tmp_path, *given, "--show")
  assert status == 0 and text in out, err


def test_agents_end_to_end(tmp_path, monkeypatch):
  monkeypatch.setitem(recipes.ROWS, "random", dict.fromkeys(recipes.ROWS["random"], 100))
  status, out, err = call(agents_study, tmp_path, "--agents=4", "--algorithms=spacql", "--num_seeds=1")
  assert status == 0, err
  text, rows = read(tmp_path)
  (cell,) = cells.load_all(tmp_path / "out" / "cells")
  assert text in out and rows[0]["n"] == "4"
  weights = [float(word) for word in rows[0]["weights"].split()]
  assert len(weights) == 4 and sum(weights) == pytest.approx(1, abs=0.01)
  assert float(rows[0]["k_eff"]) == pytest.approx(np.dot(weights, [1, 2, 3, 4]), abs=0.01)
  assert (rows[0]["task"], rows[0]["dataset"]) == ("spread_4", "spread_4-random-v1")
  episodes, card = storage.load(tmp_path / "data" / "spread_4-random-v1")
  assert episodes.num_agents == 4 and card["environment"]["version"] == "v1-4agents"
  assert float(rows[0]["gain_over_data"]) == pytest.approx(cell["final_returns"][0] - card["return"]["mean"], rel=1e-4)


def test_agents_of_uncoordinated_play(tmp_path, monkeypatch):
  monkeypatch.setitem(recipes.ROWS, "random", dict.fromkeys(recipes.ROWS["random"], 100))
  given = ("--agents=5", "--quality=medium", "--algorithms=bc", "--num_seeds=1")
  status, _, err = call(agents_study, tmp_path, *given)
  assert status == 0, err
  card = storage.load(tmp_path / "data" / "spread_5-medium_roles-v1")[1]
  assert "each agent in an episode with probability 0.3, else uniform" in card["policies"][0]["policy"]
  assert read(tmp_path)[1][0]["dataset"] == "spread_5-medium_roles-v1"


BAD = [
  (coupling_study, ["--kappas=0,2"], "--kappa=2.0 must lie in [0, 1]"),
  (coupling_study, ["--kappas=half"], "--kappas=half: could not convert"),
  (coupling_study, ["--quality=medium-replay"], "medium-replay mixes policies"),
  (coupling_study, ["--task=spraed"], "did you mean spread?"),
  (coupling_study, ["--task=spread_4", "--quality=expert"], "no policies are known for it"),
  (coupling_study, ["--algorithms=spaqcl"], "--algorithms=spaqcl is not known (did you mean spacql?)"),
  (coupling_study, ["--rows=30"], "rows=30 must be a positive multiple of 25"),
  (agents_study, ["--agents=3,11"], "--agents=11 is not known; known: 3, 4, 5, 6, 7, 8, 9, 10"),
  (agents_study, ["--agents=four"], "--agents=four is not known"),
  (
    agents_study,
    ["--quality=medium-replay"],
    "--quality=medium-replay is not known (did you mean medium?); known: random, medium",
  ),
  (agents_study, ["--show"], "holds none of these cells yet"),
]


@pytest.mark.parametrize(("module", "arguments", "words"), BAD)
def test_bad_flags_are_one_sentence_and_write_nothing(module, arguments, words, tmp_path):
  status, _, err = call(module, tmp_path, *arguments)
  assert words in binaries.sentence(status, err)
  assert not list(tmp_path.iterdir())


def cell(algorithm, returns, metrics=None, runs=((2, 50.0),)):
  return {
    "algorithm": algorithm, "task": "spread", "quality": "random_kappa0", "protocol": "paper", "set": [],
    "config": {"ensemble_size": 10} if algorithm != "bc" else {}, "gradient_steps": 10, "episodes_per_evaluation": 3,
    "dataset": {"name": "spread-random_kappa0-v1", "origin": "collected", "mean_return": 159.8},
    "seeds": list(range(len(returns))), "final_returns": returns, "curve": [[value] for value in returns],
    "steps": [10],
    "metrics": metrics or {"actor_loss": [[0.0]] * len(returns)},
    "runs": [{"seeds": list(range(count)), "updates_per_second": rate, "device": "cpu", "commit": "a" * 40,
              "versions": {"jax": "0"}} for count, rate in runs],
  }  # fmt: skip


def test_weights_and_costs_by_hand():
  # two seeds, two evaluations; the last column counts: w = (0.5, 0.3, 0.2) and (0.6, 0.4, 0): k_eff 1.7 and 1.4
  metrics = {"w_2": [[9, 0.3], [9, 0.4]], "w_1": [[9, 0.5], [9, 0.6]], "w_3": [[9, 0.2], [9, 0.0]], "u_1": [[1, 1]] * 2}
  metrics["k_eff"] = [[9, 1.7], [9, 1.4]]
  of_spacql = cell("spacql", [159.8, 516.8], metrics, runs=((2, 50.0), (1, 25.0)))
  np.testing.assert_allclose(study_view.weights(of_spacql), [[0.5, 0.3, 0.2], [0.6, 0.4, 0.0]])
  np.testing.assert_allclose(study_view.effective(of_spacql), [1.7, 1.4])
  # 20 ms a step of two seeds at once, 40 ms a step of one: 60 ms for three seeds
  assert study_view.milliseconds(of_spacql) == pytest.approx(20.0)
  somebodys = of_spacql | {"metrics": of_spacql["metrics"] | {"w_norm": [[1.0]]}}
  np.testing.assert_allclose(study_view.weights(somebodys), study_view.weights(of_spacql))
  assert study_view.weights(somebodys | {"metrics": {"w_1": [[1.0]]}}) is None  # nothing says that these are weights
  assert study_view.weights(cell("bc", [1.0])) is None and study_view.effective(cell("bc", [1.0])) is None


def test_the_table_says_who_is_ahead():
  # scores 0 and 100 against 50 and 50: means alike, standard error 50, one degree of freedom: t = 12.706
  points = [(0.5, cell("spacql", [159.8, 516.8])), (0.5, cell("cfcql", [338.3, 338.3])), (1.0, cell("bc", [159.8]))]
  text = study_view.markdown("kappa", points, ["a note"])
  assert "| 0.5 | 50.0 +- 50.0 | 50.0 +- 0.0 | - |" in text and "| 1 | - | - | 0.0 |" in text
  assert "| 0.5 | 0.0 [-635.3, 635.3] | - |" in text and "| 1 | - | - |" in text
  assert f"a note\n{table_view.CONVENTIONS}\nCritics of every algorithm: 10." in text and "commits aaaaaaaaa." in text
  stuck = [(x, one | {"stuck_agents": [[], [2]]} if one["algorithm"] == "spacql" else one) for x, one in points]
  text = study_view.markdown("kappa", stuck, [])
  assert "| 0.5 | 50.0 +- 50.0* | 50.0 +- 0.0 | - |" in text and "| 0.0, 100.0* |" in text and table_view.STUCK in text


def test_who_is_subtracted_from_whom():
  # 100 and 0 against 0 and 0: 50 ahead, standard error 50 with one degree of freedom; behind from the other side
  points = [(0.5, cell("spacql", [159.8, 516.8])), (0.5, cell("cfcql", [159.8, 159.8]))]
  assert "| 0.5 | 50.0 [-585.3, 685.3] |" in study_view.markdown("kappa", points, [])
  behind = [(0.5, cell("spacql", [159.8, 159.8])), (0.5, cell("cfcql", [159.8, 516.8]))]
  assert "| 0.5 | -50.0 [-685.3, 585.3] |" in study_view.markdown("kappa", behind, [])


def test_weights_of_ten_agents_stand_in_the_order_of_k():
  metrics = {f"w_{k}": [[k / 55]] for k in range(1, 11)} | {"k_eff": [[7.0]]}  # (1 + 4 + .. + 100) / 55
  ten = cell("spacql", [1.0], metrics)
  np.testing.assert_allclose(study_view.weights(ten), [np.arange(1, 11) / 55])
  np.testing.assert_allclose(study_view.effective(ten), [7.0])


def test_other_settings_than_the_papers_are_told():
  points = [(0.5, cell("spacql", [159.8])), (0.5, cell("cfcql", [338.3]) | {"set": ["ensemble_size=10"]})]
  assert "Protocol" not in study_view.markdown("kappa", points, [])
  points[1][1].update(protocol="layer_norm", set=["ensemble_size=10", "alpha=50.0"])
  assert "\nProtocol layer_norm, alpha=50.0; paper. Critics of every" in study_view.markdown("kappa", points, [])
  row = study_view.row("kappa", points[1])
  assert (row["protocol"], row["set"]) == ("layer_norm", "ensemble_size=10 alpha=50.0")


def test_the_panels_of_the_weights_by_hand(tmp_path):
  metrics = {"w_1": [[0.5], [0.7]], "w_2": [[0.5], [0.3]], "k_eff": [[1.5], [1.3]]}
  points = [
    (0.0, cell("spacql", [1.0, 2.0], metrics)),
    (1.0, cell("spacql", [3.0, 4.0], metrics)),
    (1.0, cell("bc", [0.0])),
  ]
  weights, k_eff = coupling_study.weight_panels(points)
  assert list(weights.lines) == ["w_1", "w_2"] and set(weights.dashed["all k alike"].values()) == {0.5}
  np.testing.assert_allclose(weights.lines["w_1"][1.0], [0.5, 0.7])
  np.testing.assert_allclose(k_eff.lines["spacql"][0.0], [1.5, 1.3])
  assert "bc" not in k_eff.lines and set(k_eff.dashed["all k alike"].values()) == {1.5}
  assert coupling_study.weight_panels(points[2:]) == []
  study_view.write(points, tmp_path, "kappa", "kappa", [], [study_view.score_panel(points), weights, k_eff])
  assert (tmp_path / "study.png").stat().st_size > 5000
