"""The table of cells made by hand."""

import csv
import io

import pytest
from matplotlib import figure

from experiments import table_view


def cell(task, quality, algorithm, values):
  return {
    "algorithm": algorithm, "task": task, "quality": quality, "protocol": "paper", "set": [],
    "dataset": {"name": f"{task}-{quality}-v1", "origin": "collected", "mean_return": 0.0}, "seeds": [0, 1],
    "final_returns": values, "curve": [[0.0, value - 3.57, value + 3.57] for value in values],
    "gradient_steps": 10_005, "steps": [4, 8, 10], "config": {},
  }  # fmt: skip


def test_the_picture_and_the_table_take_several_tasks():
  found = [cell("world", "expert", "bc", [50.9, -7.1]), cell("spread", "random", "cfcql", [159.8, 516.8])]
  text = table_view.markdown(found, ["the recipe"])
  assert "| world-expert-v1 | **50.0 +- 50.0** | - |" in text and "| spread-random-v1 | - | **50.0 +- 50.0** |" in text
  assert "| spread-random-v1 | - | 62.2 +- 8.1 |" in text and text.endswith("the recipe\n")
  assert "| spread-random-v1 | - | -12.2 |" in text  # 50.0 less 62.2
  assert text.index("spread-random-v1") < text.index("world-expert-v1")
  (line,) = [line for line in text.splitlines() if line.startswith("| spread-random-v1 (") and "cfcql" in line]
  # over the last half: the evaluations at 8 and 10 of 10 steps, 3.57 below and above the final ones
  assert line.split(" | ")[5:7] == ["50.0 +- 50.0", "338.3 +- 178.5"]
  assert line.split(" | ")[7] == "0.0, 100.0" and "stuck" not in text
  trial = table_view.markdown([found[0], found[1] | {"gradient_steps": 10}], ["the recipe"])
  assert "papers' own" not in trial and "62.2" not in trial  # which trained a thousand times as long
  marked = table_view.markdown([found[0], found[1] | {"stuck_agents": [[2], None]}], ["the recipe"])
  assert (
    "| **50.0 +- 50.0*** |" in marked and "| 0.0*, 100.0 |" in marked and "*: some agent's policy is stuck" in marked
  )


def test_an_algorithm_has_its_colour_where_it_stands_in_one_way_alone():
  own = table_view.COLORS
  found = table_view.colors(["spacql (ensemble_size=2)", "cfcql", "cfcql (ensemble_size=10)", "mine"])
  assert found["spacql (ensemble_size=2)"] == own["spacql"] and found["cfcql"] == own["cfcql"]
  assert len(set(found.values())) == 4 and own["cfcql"] != found["cfcql (ensemble_size=10)"] not in own.values()


def test_what_the_csv_says_beside_the_table():
  """Best over training: seed 7 stands at 10, 90, 50 and seed 3 at 80, 20, 30, so 90 and 80 and their mean."""
  curve = [[159.8 + 3.57 * score for score in scores] for scores in ([10, 90, 50], [80, 20, 30])]
  one = cell("spread", "random", "cfcql", [each[-1] for each in curve])
  (row,) = csv.DictReader(
    io.StringIO(table_view.comma_separated([one | {"seeds": [7, 3], "curve": curve, "stuck_agents": [[], [1]]}]))
  )
  found = {name: float(row[name]) for name in ("score_mean", "score_std", "best_over_training_mean", "last_half_mean")}
  assert found == pytest.approx(
    {"score_mean": 40, "score_std": 10, "best_over_training_mean": 85, "last_half_mean": 47.5}
  )
  assert (row["stuck_seeds"], row["each_seed"], float(row["paper_mean"])) == ("3", "50.0 30.0", 62.2)


def test_the_picture_shows_the_tables_numbers(monkeypatch, tmp_path):
  drawn = []
  monkeypatch.setattr(figure.Figure, "savefig", lambda self, *given, **more: drawn.append(self))
  found = [cell("spread", "expert", "bc", [159.8, 516.8]), cell("spread", "random", "cfcql", [159.8, 1230.8])]
  found[1] |= {"stuck_agents": [[], [2]]}
  table_view.draw(tmp_path / "picture.png", found)
  (axes,) = drawn[0].axes
  # columns bc and cfcql, rows random and expert: cfcql right of the middle of 0, bc left of that of 1
  bars = [(bar.get_x() + bar.get_width() / 2, bar.get_height()) for bar in axes.patches]
  assert bars == [pytest.approx((0.2, 150.0)), pytest.approx((0.8, 50.0))]
  shown = [line for line in axes.lines if line.get_xdata().size]
  lines = [(line.get_marker(), *line.get_xydata()[0].round(6), line.get_mfc()) for line in shown]
  colors = table_view.COLORS
  assert lines == [
    ("o", 0.2, 0.0, colors["cfcql"]),
    ("o", 0.2, 300.0, "white"),  # stuck
    ("x", 0.2, 62.2, "black"),
    ("o", 0.8, 0.0, colors["bc"]),
    ("o", 0.8, 100.0, colors["bc"]),
  ]
