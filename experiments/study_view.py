"""What the studies share: algorithms on equal footing over something that is varied, x; a table and a picture of it.

A point is (x, cell), see cells.py. Where an algorithm stands in a table or picture, it is under its own name: all have
the same ensemble size.
"""

import csv
import dataclasses
import io
import pathlib
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from absl import flags

from experiments import cells, collect, grid, main_table, runs, settings, table_view, train_request
from experiments.cells import Cell
from experiments.recipes import Recipe
from marl_offline.evaluation import scores, statistics
from marl_offline.evaluation.statistics import Named
from marl_offline.training import logs

Point = tuple[float, dict[str, Any]]
FIRST = "spacql"  # the others are subtracted from it


def define_flags(flag_values: flags.FlagValues, out: str) -> None:
  """The flags of every study."""
  flags.DEFINE_list("algorithms", [FIRST, "icql_qs", "cfcql"], "to compare", flag_values=flag_values)
  words = "critics of every algorithm; 10 are SPaCQL's, 2 CFCQL's"
  flags.DEFINE_integer("ensemble_size", 10, words, lower_bound=1, flag_values=flag_values)
  flags.DEFINE_string("protocol", "paper", f"one of {', '.join(settings.PROTOCOLS)}", flag_values=flag_values)
  words = "changes a field of every algorithm's Config; repeatable"
  flags.DEFINE_multi_string("set", [], words, flag_values=flag_values)
  grid.define_flags(flag_values, out)


def changes(algorithm: str, flag_values: flags.FlagValues) -> tuple[str, ...]:
  """Cell.changes: the common ensemble size, where the algorithm has one, and --set.

  Raises:
    UserError: there is no such algorithm.
  """
  config = train_request.named("algorithms", algorithm, settings.ALGORITHMS, settings.load).Config
  has = any(field.name == "ensemble_size" for field in dataclasses.fields(config))
  return ((f"ensemble_size={flag_values.ensemble_size}",) if has else ()) + tuple(flag_values.set)


def trained(at: dict[Recipe, float], flag_values: flags.FlagValues) -> list[Point]:
  """Every algorithm of --algorithms on the data of every x, data and runs made where they are missing.

  Raises:
    UserError: see grid.fill, collect.make.
  """
  wanted = {
    Cell(
      algorithm,
      recipe.task,
      recipe.quality,
      flag_values.protocol,
      changes(algorithm, flag_values),
      None if recipe.newest else str(recipe.folder(flag_values.data_dir)),
      **grid.shortened(flag_values),
    ): recipe
    for recipe in at
    for algorithm in flag_values.algorithms
  }
  for recipe in [] if flag_values.show else dict.fromkeys(wanted[cell] for cell in grid.lacking(wanted, flag_values)):
    if not recipe.newest:  # else training makes it
      collect.make_if_missing(recipe, flag_values.data_dir)
  grid.fill(list(wanted), flag_values)
  out = pathlib.Path(flag_values.out)
  points = [(at[recipe], cells.load(grid.path_of(out, cell))) for cell, recipe in wanted.items()]
  return [(x, cell) for x, cell in points if cell is not None]


# ---- numbers -------------------------------------------------------------------------------------------------------


def seed_scores(cell: dict[str, Any]) -> Named:
  """Normalised scores of the final policies."""
  return Named(cells.score(cell), ("seed",))


def weights(cell: dict[str, Any]) -> np.ndarray | None:
  """w_1..w_n of each seed, means over the last stretch of training. -> [seed, k], or None where there are none."""
  if "k_eff" not in cell["metrics"]:
    return None  # a metric of somebody's own may begin alike
  names = sorted((name for name in cell["metrics"] if re.fullmatch(r"w_\d+", name)), key=lambda name: int(name[2:]))
  return np.array([[row[-1] for row in cell["metrics"][name]] for name in names]).T if names else None


def effective(cell: dict[str, Any]) -> np.ndarray | None:
  """k_eff = sum_k k w_k of each seed, arXiv:2511.07629 theorem 3; None where there are no weights."""
  found = weights(cell)
  return None if found is None else found @ np.arange(1, found.shape[1] + 1)


def milliseconds(cell: dict[str, Any]) -> float:
  """Of one update of one seed, on the device that trained it; the mean over its runs' seeds."""
  pairs = [(len(run["seeds"]), run["updates_per_second"]) for run in cell["runs"]]
  return sum(1000.0 / rate for _, rate in pairs) / sum(count for count, _ in pairs)


def row(x_name: str, point: Point) -> dict[str, Any]:
  """All that is said of a point, flat."""
  x, cell = point
  whole, data = table_view.row(cell), cell["dataset"]["mean_return"]
  kept = ("seeds", "score_mean", "score_std", "score_iqm", "iqm_low", "iqm_high", "return_mean", "dataset_score")
  found, k_eff = weights(cell), effective(cell)
  return {
    **{x_name: x, "algorithm": cell["algorithm"], "task": cell["task"]},
    **{name: whole[name] for name in kept},
    **{"dataset_return": data, "gain_over_data": whole["return_mean"] - data, "ms_per_update": milliseconds(cell)},
    "k_eff": None if k_eff is None else float(k_eff.mean()),
    "weights": "" if found is None else " ".join(f"{value:.3f}" for value in found.mean(axis=0)),
    **{name: whole[name] for name in ("gradient_steps", "dataset", "origin", "each_seed")},
    **{"protocol": cell["protocol"], "set": " ".join(cell["set"])},
  }


# ---- words ---------------------------------------------------------------------------------------------------------


def markdown(x_name: str, points: Sequence[Point], notes: Sequence[str]) -> str:
  """Scores over x, what FIRST is ahead by, its weights, every point in full, and how it came about."""
  names, xs = _names(points), sorted({x for x, _ in points})
  at = {(x, cell["algorithm"]): cell for x, cell in points}
  points = sorted(points, key=lambda point: (point[0], names.index(point[1]["algorithm"])))
  rows = [row(x_name, point) for point in points]
  lines = ["Normalised score of the final policies, mean +- std over seeds.", ""]
  lines += _table([x_name, *names], [[f"{x:g}", *(_told(at.get((x, name))) for name in names)] for x in xs])
  if FIRST in names and len(names) > 1:
    others = [name for name in names if name != FIRST]
    lines += ["", f"{FIRST} minus the others: difference of the means [95 % interval, Welch].", ""]
    ahead = [[f"{x:g}", *(_ahead(at.get((x, FIRST)), at.get((x, name))) for name in others)] for x in xs]
    lines += _table([x_name, *others], ahead)
  if weighted := [line for line in rows if line["weights"]]:
    lines += ["", "Weights at the end of training, means over seeds.", ""]
    head = [x_name, "algorithm", "k_eff", "w_1 w_2 ..."]
    lines += _table(head, [[f"{r[x_name]:g}", r["algorithm"], f"{r['k_eff']:.2f}", r["weights"]] for r in weighted])
  head = [x_name, "algorithm", "seeds", "IQM [95 % interval]", "return", "data's return", "gain", "ms an update"]
  head += ["each seed"]
  full = [
    [
      *(f"{r[x_name]:g}", r["algorithm"], str(r["seeds"]), _interval(r["score_iqm"], (r["iqm_low"], r["iqm_high"]))),
      *(f"{r[name]:.1f}" for name in ("return_mean", "dataset_return", "gain_over_data", "ms_per_update")),
      table_view.each_seed(cell),
    ]
    for r, (_, cell) in zip(rows, points, strict=True)
  ]
  below = [*notes, *table_view.footnotes([cell for _, cell in points]), *_recipe(points)]
  return "\n".join([*lines, "", *_table(head, full), "", *below]) + "\n"


def _names(points: Sequence[Point]) -> list[str]:
  return list(dict.fromkeys(cell["algorithm"] for _, cell in points))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
  return ["| " + " | ".join(line) + " |" for line in (head, ["---"] * len(head), *rows)]


def _told(cell) -> str:
  if cell is None:
    return "-"
  score, star = cells.score(cell), "*" if any(cells.stuck_agents(cell)) else ""
  return table_view.spread(score.mean(), score.std() if len(score) > 1 else None) + star


def _ahead(first, other) -> str:
  if first is None or other is None:
    return "-"
  pair = seed_scores(first), seed_scores(other)
  difference = float(pair[0].values.mean() - pair[1].values.mean())
  return _interval(difference, statistics.mean_difference_interval(*pair, "seed"))


def _interval(value: float, ends) -> str:
  def short(number):
    return f"{round(number, 1) + 0.0:.1f}"  # 0.0 where that of -0.01 would be -0.0

  return short(value) + (f" [{short(ends[0])}, {short(ends[1])}]" if ends and ends[0] is not None else "")


def _recipe(points: Sequence[Point]) -> list[str]:
  found = [cell for _, cell in points]
  sizes = sorted({cell["config"]["ensemble_size"] for cell in found if "ensemble_size" in cell["config"]})
  steps, episodes = ({cell[name] for cell in found} for name in ("gradient_steps", "episodes_per_evaluation"))
  commits = {main_table.short_commit(run["commit"]) for cell in found for run in cell["runs"]}
  devices = {f"jax {run['versions'].get('jax')}, {run['device']}" for cell in found for run in cell["runs"]}

  def told(values):
    return " / ".join(map(str, sorted(values)))

  return [
    table_view.settings_words((cell["protocol"], table_view.without_size(cell["set"])) for cell in found)
    + f"Critics of every algorithm: {told(sizes) or 'none'}. "
    f"Final greedy policy after {told(steps)} gradient steps, "
    f"{told(episodes)} episodes a seed; no online episode was spent on choosing anything. ms an update: of one seed, "
    "on a machine that may have done other work too.",
    *table_view.scales(sorted({cell["task"] for cell in found})),
    f"Trained with {'; '.join(sorted(devices))}; commits {', '.join(sorted(commits))}.",
  ]  # fmt: skip


# ---- picture -------------------------------------------------------------------------------------------------------


class Panel(NamedTuple):
  """One set of axes over x. lines: name -> x -> one value a seed; dashed: name -> x -> a value."""

  label: str  # of the y axis
  lines: dict[str, dict[float, np.ndarray]]
  dashed: dict[str, dict[float, float]]
  interval: bool  # the IQM with its interval; else the mean
  colors: dict[str, Any]


def by_algorithm(points: Sequence[Point], value: Callable[[dict], Any]) -> dict[str, dict[float, np.ndarray]]:
  """Panel.lines: value(cell) is one number a seed; None leaves the point out."""
  lines: dict[str, dict[float, np.ndarray]] = {}
  for x, cell in points:
    if (values := value(cell)) is not None:
      lines.setdefault(cell["algorithm"], {})[x] = np.atleast_1d(values)
  return lines


def score_panel(points: Sequence[Point]) -> Panel:
  """Scores of the seeds, and the data's own."""
  data = {x: float(scores.normalized(cell["task"], cell["dataset"]["mean_return"])) for x, cell in points}
  label = "normalised score (0 random, 100 expert)"
  return Panel(label, by_algorithm(points, cells.score), {"data's mean": data}, True, table_view.colors(_names(points)))


def draw(path: pathlib.Path, x_label: str, panels: Sequence[Panel]) -> None:
  """The panels side by side: a dot a seed, a line through the middles, bars for 95 % intervals."""
  from matplotlib.figure import Figure

  figure = Figure(figsize=(4.6 * len(panels), 4.2), layout="constrained")
  for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
    xs = sorted({x for line in panel.lines.values() for x in line})
    step = 0.016 * ((xs[-1] - xs[0]) or 1.0) if xs else 0.0
    for index, (name, line) in enumerate(panel.lines.items()):
      _line(axes, name, line, step * (index - (len(panel.lines) - 1) / 2), panel)
    for name, line in panel.dashed.items():
      there = sorted(line)
      axes.plot(there, [line[x] for x in there], "--", color="black", lw=1, label=name)
    axes.set_xticks(xs, [f"{x:g}" for x in xs])
    axes.set(xlabel=x_label, ylabel=panel.label)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=4, frameon=False, fontsize=8)
  figure.savefig(path, dpi=130)


def _line(axes, name: str, line: dict[float, np.ndarray], shift: float, panel: Panel) -> None:
  there, color = sorted(line), panel.colors[name]
  values = [Named(line[x], ("seed",)) for x in there]
  middle = statistics.iqm if panel.interval else statistics.mean
  middles = [float(middle(value, "seed").values) for value in values]
  places = [x + shift for x in there]
  axes.plot(places, middles, "-", color=color, lw=1.8, label=name)
  for place, value, centre in zip(places, values, middles, strict=True):
    axes.plot([place] * value.size("seed"), value.values, "o", ms=3.5, color=color, alpha=0.55, mew=0)
    if panel.interval and (ends := statistics.iqm_interval(value, "seed")):
      axes.errorbar(place, centre, [[centre - ends[0]], [ends[1] - centre]], color=color, capsize=3, lw=1.2)


def write(
  points: Sequence[Point], out: pathlib.Path, x_name: str, x_label: str, notes: Sequence[str], panels: Sequence[Panel]
) -> str:
  """study.md, study.csv and study.png. -> the Markdown.

  Raises:
    UserError: there is no cell, or the disk refuses.
  """
  text = markdown(x_name, points, notes)
  rows, file = [row(x_name, point) for point in points], io.StringIO()
  writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
  writer.writeheader()
  writer.writerows(rows)
  with runs.writing(None, "the cells are kept; --show writes the study from them"):
    logs.write_atomically(out / "study.md", text.encode())
    logs.write_atomically(out / "study.csv", file.getvalue().encode())
    draw(out / "study.png", x_label, panels)
  return text
