"""Training metrics of cells as curves over training: their numbers at the end, and bands over seeds."""

import json
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from experiments import main_table, runs
from marl_offline.evaluation import statistics
from marl_offline.evaluation.statistics import Named
from marl_offline.training import logs


def metric(cell: Mapping[str, Any], name: str) -> Named:
  """One metric [seed, evaluation], each entry its mean over the updates since the evaluation before.

  Raises:
    UserError: the cell's runs did not log it.
  """
  if name not in cell["metrics"]:
    what = f"{cell['algorithm']} on {cell['dataset']['name']}"
    raise runs.UserError(f"the cell of {what} has no metric {name}: its runs are older; remove its file and its runs")
  return Named(np.array(cell["metrics"][name], np.float64), ("seed", "evaluation"))


def numbers(series: Named, late: np.ndarray) -> dict[str, dict[str, Any]]:
  """Mean and std over seeds, and each seed, of a metric [seed, evaluation] at the end and over the last half.

  "end" is the last entry; "last_half" the mean of those that `late` marks, see cells.last_half.
  """
  values = series.ordered(("seed", "evaluation"))
  parts = {"end": Named(values[:, -1], ("seed",)), "last_half": Named(values[:, late].mean(axis=1), ("seed",))}
  return {
    name: {
      "mean": float(statistics.mean(part, "seed").values),
      "std": float(statistics.std(part, "seed").values),
      "seeds": part.values.tolist(),
    }
    for name, part in parts.items()
  }


def told(number: Mapping[str, Any], digits: int = 3) -> str:
  """One entry of `numbers` as text."""
  spread = f" +- {number['std']:.{digits}f}" if len(number["seeds"]) > 1 else ""
  return f"{number['mean']:.{digits}f}{spread}"


def band(axes, steps: Sequence[int], series: Named, color: str):
  """Draws the mean over seeds of [seed, evaluation] and, where there are several, a band of one std. -> the line."""
  mean, std = (function(series, "seed").values for function in (statistics.mean, statistics.std))
  if series.size("seed") > 1:
    axes.fill_between(steps, mean - std, mean + std, color=color, alpha=0.18, lw=0)
  marker = "o" if len(steps) == 1 else None
  return axes.plot(steps, mean, color=color, lw=1.8, marker=marker, ms=4)[0]


def panels(rows: int, columns: int, last_step: int, title: str):
  """A figure of small panels that share their steps. -> figure, axes [rows, columns]."""
  from matplotlib.figure import Figure

  figure = Figure(figsize=(1.6 + 3.0 * columns, 0.9 + 2.2 * rows), layout="constrained")
  grid = figure.subplots(rows, columns, sharex=True, sharey="row", squeeze=False)
  for axes in grid.flat:
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.ticklabel_format(axis="x", style="plain")
    axes.locator_params(axis="x", nbins=4)
    axes.set_xlim(0, 1.02 * last_step)  # only a left end would keep what is drawn later from widening it
  for axes in grid[-1]:
    axes.set_xlabel("gradient steps")
  figure.suptitle(title, fontsize=11)
  return figure, grid


def logarithmic(axes) -> None:
  """The y axis in powers of ten, marked with plain numbers."""
  from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

  axes.set_yscale("log")
  axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
  axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
  axes.yaxis.set_minor_formatter(NullFormatter())


def seeds_of(found: Sequence[Mapping[str, Any]]) -> str:
  """How many seeds the cells have, in words."""
  counts = sorted({len(cell["seeds"]) for cell in found})
  return f"{counts[0]} seed{'s' * (counts[0] > 1)}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]} seeds"


def tasks_of(found: Sequence[Mapping[str, Any]]) -> str:
  """The cells' tasks, each once."""
  return ", ".join(dict.fromkeys(cell["task"] for cell in found))


def last_step(found: Sequence[Mapping[str, Any]]) -> int:
  """Where the longest training ends."""
  return max(cell["steps"][-1] for cell in found)


def origin(found: Sequence[Mapping[str, Any]]) -> str:
  """Where the numbers come from: data sets, length, versions, commits."""
  made = sorted({f"jax {run['versions'].get('jax')}, {run['device']}" for cell in found for run in cell["runs"]})
  commits = sorted({main_table.short_commit(run["commit"]) for cell in found for run in cell["runs"]})
  data = ", ".join(dict.fromkeys(cell["dataset"]["name"] for cell in found))
  steps = " / ".join(map(str, sorted({cell["gradient_steps"] for cell in found})))
  return f"Data sets {data}; {steps} gradient steps; {'; '.join(made)}; commits {', '.join(commits)}."


KEPT = "the cells are kept; --show writes the rest from them"


def of_runs(folders: Sequence[str], facts_of: Callable[[pathlib.Path], dict[str, Any]]) -> list[dict[str, Any]]:
  """What a report has to say of each --run_dir.

  Raises:
    UserError: there is none; and whatever facts_of raises.
  """
  if not folders:
    raise runs.UserError("--run_dir is needed: the folder of a run, such as runs/spacql-spread-random-paper")
  return [facts_of(pathlib.Path(folder)) for folder in folders]


def write(
  out: pathlib.Path, name: str, text: str, facts: Any, draw: Callable[[pathlib.Path], None], kept: str = KEPT
) -> str:
  """name.md, name.json and name.png. -> the sentence that says where they are. kept: what a full disk does not cost.

  Raises:
    UserError: the disk refuses.
  """
  with runs.writing(None, kept):
    out.mkdir(parents=True, exist_ok=True)
    logs.write_atomically(out / f"{name}.md", text.encode())
    logs.write_atomically(out / f"{name}.json", (json.dumps(facts, indent=1) + "\n").encode())
    draw(out / f"{name}.png")
  return f"{out / name}.md, .json and .png"
