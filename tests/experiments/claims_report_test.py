"""The paper's claims asked of cells made by hand: differences, intervals, what they say, and what is left out."""

import copy
import json
import pathlib

import numpy as np
import pytest
from matplotlib import figure

from experiments import cells, claims_report, claims_view
from tests.experiments import binaries

COMMITTED = pathlib.Path(__file__).parents[2] / "results" / "mpe" / "cells"
ZERO, FULL = 159.8, 516.8  # returns on spread with scores 0 and 100


def made(algorithm, final, before, changes=(), quality="random", metrics=()):
  """A cell whose seeds end at these scores, having had `before` at every earlier evaluation."""
  cell = copy.deepcopy(cells.load(COMMITTED / "spread-random-cfcql.json"))
  raw = lambda score: ZERO + (FULL - ZERO) * score / 100  # noqa: E731
  earlier = [raw(before)] * (len(cell["steps"]) - 1)
  name = f"spread-{quality}-v1"
  return cell | {
    **{"algorithm": algorithm, "quality": quality, "settings_of": quality, "set": list(changes)},
    **{"config": claims_report.settings.load(algorithm).Config().__dict__, "stuck_agents": [[]] * len(final)},
    **{"seeds": list(range(len(final))), "final_returns": [raw(score) for score in final]},
    **{"curve": [[*earlier, raw(score)] for score in final], "dataset": cell["dataset"] | {"name": name}},
    "metrics": {name: [[value] * len(cell["steps"])] * len(final) for name, value in dict(metrics).items()},
  }  # fmt: skip


def asked(folder, *found):
  """-> facts, the text."""
  for number, cell in enumerate(found):
    cells.save(folder / "cells" / f"{number}.json", cell)
  flags = (f"--cells={folder / 'cells'}", f"--out={folder / 'out'}")
  status, out, err = binaries.call(claims_report.main, claims_report.FLAGS, *flags)
  assert status == 0, err
  assert (folder / "out" / "claims.png").stat().st_size > 5000
  return json.loads((folder / "out" / "claims.json").read_text()), out


def test_a_difference_by_hand(tmp_path):
  # means 70 and 20; each side's variance is 100 / 3, so the standard error is sqrt(200 / 3) = 8.165 with 4 degrees of
  # freedom: 50 +- 2.776 * 8.165 = 50 +- 22.67
  two = ("ensemble_size=2",)
  facts, out = asked(tmp_path, made("spacql", [60, 70, 80], 20, two), made("cfcql", [10, 20, 30], 20))
  (claim,) = facts["claims"]
  (row,) = claim["rows"]
  assert claim["claim"] == "SPaCQL is better than CFCQL on random and medium-replay"
  assert (row["critics"], row["seeds"], row["published"]) == ([2, 2], [3, 3], pytest.approx(78.2 - 62.2))
  assert row["end"]["difference"] == pytest.approx(50, abs=1e-3) and row["end"]["so"] == "higher"
  np.testing.assert_allclose(row["end"]["ci95"], [50 - 22.67, 50 + 22.67], atol=0.01)
  # twelve of 23 evaluations lie in the last half, and eleven of them are 20 on both sides
  assert row["last_half"]["difference"] == pytest.approx(50 / 12, abs=1e-3)
  assert "| spread-random-v1 | 2 each | 3 | +16.0 | **+50.0 [27.3, 72.7]** | **+4.2 [2.3, 6.1]** | higher |" in out


def test_what_differs_between_the_end_and_before_is_said(tmp_path):
  ten = made("icql_qs", [10, 40, 70], 90, ("ensemble_size=10",))  # a wide end, a last half near 90 less a twelfth of it
  facts, out = asked(tmp_path, ten, made("cfcql", [40, 41, 42], 20, ("ensemble_size=10",)))
  (claim,) = facts["claims"]
  assert (claim["claim"], claim["rows"][0]["critics"]) == ("ICQL-QS is better than CFCQL on random", [10, 10])
  assert [claim["rows"][0][part]["so"] for part in claims_report.PARTS] == ["not told apart", "higher"]
  assert "not told apart at the end, higher over the last half" in out


def test_the_picture_has_every_difference_at_its_place(monkeypatch, tmp_path):
  drawn = []
  monkeypatch.setattr(figure.Figure, "savefig", lambda self, *given, **more: drawn.append(self))
  parts = {
    "end": {"difference": 5.0, "ci95": [1.0, 9.0], "so": "higher"},
    "last_half": {"difference": -3.0, "ci95": None, "so": "no interval"},
  }
  row = {"data": "d", "critics": [10, 2], "seeds": [5, 2], "published": 16.0, "stuck": False, **parts}
  claims_view.draw(tmp_path / "picture.png", {"claims": [{"claim": "c", "rows": [row]}]})
  (axes,) = drawn[0].axes
  _, interval, end, late, published = (line for line in axes.lines if np.size(line.get_xdata()))
  assert list(interval.get_xdata()) == [1.0, 9.0] and interval.get_color() == claims_view.COLORS["higher"]
  assert (end.get_xdata()[0], end.get_mfc()) == (5.0, claims_view.COLORS["higher"])
  assert (late.get_xdata()[0], late.get_mfc()) == (-3.0, "white")
  assert (published.get_xdata()[0], published.get_marker()) == (16.0, "x")
  assert [label.get_text() for label in axes.get_yticklabels()] == ["d, 10 and 2 (5, 2)"]


def test_a_published_difference_is_of_the_papers_own_sides():
  better, comparable, *_, weights, disagreement = claims_report.CLAIMS
  cell = {"task": "world", "quality": "medium-replay"}
  assert claims_report.printed(better, cell) == pytest.approx(105.2 - 73.4)
  assert claims_report.printed(comparable, cell | {"quality": "expert"}) == pytest.approx(112.3 - 119.7)
  assert claims_report.printed(better, cell | {"caveat": "another prey"}) is None
  assert claims_report.printed(better, cell | {"task": "spread_4"}) is None
  assert claims_report.printed(weights, cell) is None and claims_report.printed(disagreement, cell) is None


def test_one_seed_decides_nothing_and_a_stuck_policy_has_its_star(tmp_path):
  stuck = made("spacql", [90], 90) | {"stuck_agents": [[1]]}
  facts, out = asked(tmp_path, stuck, made("spacql", [10, 11], 10, ("sharpness=0.0",)))
  (claim,) = facts["claims"]
  assert claim["claim"].startswith("SPaCQL's weights")
  assert claim["rows"][0]["end"]["ci95"] is None and claim["rows"][0]["published"] is None
  assert "| spread-random-v1* | 10 each | 1 and 2 | - | +79.5 | " in out and "| no interval |" in out
  assert "*: a seed of one of the two has a policy that is stuck" in out


def test_disagreement_and_weights_come_from_the_metrics(tmp_path):
  ten = ("ensemble_size=10",)
  told = [{"target_std": value} for value in (1.25, 1.5)]
  pair = [made(name, [1, 2], 1, ten, metrics=metrics) for name, metrics in zip(("icql_qs", "cfcql"), told, strict=True)]
  two = [made(name, [1, 2], 1) for name in ("icql_qs", "cfcql")]  # of two critics, and with no such metric
  spacql = made("spacql", [5, 6], 5, metrics={"w_1": 0.2, "w_2": 0.5, "w_3": 0.3})
  facts, _ = asked(tmp_path, *pair, *two, spacql)
  (row,) = next(claim["rows"] for claim in facts["claims"] if claim["measure"] == "target_std")
  assert (row["critics"], row["end"]["difference"], row["published"]) == ([10, 10], -0.25, None)
  assert facts["weights"] == [
    {"data": "spread-random-v1", "critics": 10, "seeds": 2, "leads": [0, 46, 0], "evaluations": 46,
     "end": pytest.approx([0.2, 0.5, 0.3])}
  ]  # fmt: skip


def test_nothing_to_compare_is_one_sentence(tmp_path):
  cells.save(tmp_path / "cells" / "one.json", made("spacql", [1], 1))
  given = (f"--cells={tmp_path / 'cells'}", f"--out={tmp_path / 'out'}")
  refused = binaries.sentence(*binaries.call(claims_report.main, claims_report.FLAGS, *given)[::2])
  assert "no data set with two algorithms of a claim" in refused and not (tmp_path / "out").exists()
