"""A grid of cells as Markdown, CSV and a picture: ours beside the papers' numbers."""

import csv
import io
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from experiments import cells, published, runs, settings
from experiments.hyperparameters import QUALITIES
from marl_offline.evaluation import scores

PAPERS = ("paper", "released_code")  # protocols that papers' numbers may stand beside
COLORS = {"spacql": "#cc3311", "icql_qs": "#0077bb", "cfcql": "#ee9911", "macql": "#33a077", "bc": "#777777"}
MORE_COLORS = ("#aa3377", "#66ccee", "#bbaa00", "#222255", "#994422", "#88bb55", "#cc88bb", "#004488")


STUCK = (
  "*: some agent's policy is stuck in a corner of the action space and learns no more (experiments.stuck_policies); "
  "at a mean, one of its seeds'."
)
CONVENTIONS = "std is over n, not n - 1; the IQM of fewer than four seeds is their mean."


def label(cell: dict[str, Any]) -> str:
  """Algorithm, and in brackets what differs from the papers' protocol."""
  return named(*(cell[name] for name in ("algorithm", "protocol", "set")))


def named(algorithm: str, protocol: str, changes: list[str]) -> str:
  """How runs on one data set are told apart in words: algorithm, then protocol and --set where not the papers'."""
  changed = ([] if protocol == "paper" else [protocol]) + changes
  return algorithm + (f" ({', '.join(changed)})" if changed else "")


def of_flags(given: Mapping[str, Any]) -> str:
  """named, of a run's flags; another precision than all tables have is a change too."""
  precision = given.get("precision") or "float32"  # younger than some runs
  changes = [*given["set"], *([] if precision == "float32" else [precision])]
  return named(given["algorithm"], given["protocol"], changes)


def settings_words(ways: Iterable[tuple[str, Sequence[str]]]) -> str:
  """What labels do not tell: protocols with their changes, "" where all are the papers' without any."""
  words = {", ".join((protocol, *changes)) for protocol, changes in ways}
  return "" if words == {"paper"} else f"Protocol {'; '.join(sorted(words))}. "


def without_size(changes: Iterable[str]) -> list[str]:
  """--set without the ensemble's size, where that is told for itself."""
  return [change for change in changes if not change.startswith("ensemble_size=")]


def scales(tasks: Iterable[str]) -> list[str]:
  """What scores 0 and 100 on each task, and who says so."""
  known = {task: scores.reference(task) for task in tasks}
  return [f"{task}: 0 = {own.random}, 100 = {own.expert} ({own.source})." for task, own in known.items()]


def of_paper(cell: dict[str, Any]) -> published.Score | None:
  """What the paper prints for this cell; None where no paper does, where --set or the protocol made another algorithm
  of it, where it was trained for shorter or longer, or where its data's card says that scores do not compare."""
  if cell["set"] or cell["protocol"] not in PAPERS or cell.get("caveat"):
    return None
  found = published.lookup(cell["algorithm"], cell["task"], cell["quality"])
  if found is None:
    return None
  of_settings = cell.get("settings_of", cell["quality"])
  run = settings.PROTOCOLS[cell["protocol"]](cell["algorithm"], cell["task"], of_settings)
  return found if run.gradient_steps == cell["gradient_steps"] else None


def data_score(cell: dict[str, Any]) -> float | None:
  """See runs.data_score."""
  return runs.data_score(cell["task"], cell["dataset"]["mean_return"], cell.get("caveat"))


def row(cell: dict[str, Any]) -> dict[str, Any]:
  """All that is said of a cell, as one flat row."""
  summary = runs.summary(cell["task"], np.asarray(cell["final_returns"]))
  paper = of_paper(cell)
  low, high = summary["iqm_ci95"] or (None, None)
  raw = np.asarray(cell["final_returns"])
  curve = scores.normalized(cell["task"], np.asarray(cell["curve"]))  # [seed, evaluation]
  late = curve[:, cells.last_half(cell)].mean(axis=1)
  return {
    **{"task": cell["task"], "quality": cell["quality"], "algorithm": label(cell), "seeds": len(cell["seeds"])},
    **{"score_mean": summary["mean"], "score_std": summary["std"]},
    **{"score_iqm": summary["iqm"], "iqm_low": low, "iqm_high": high},
    **{"return_mean": float(raw.mean()), "return_std": float(raw.std())},
    "dataset_score": data_score(cell),
    **{"paper_mean": paper and paper.mean, "paper_std": paper and paper.std, "paper_source": paper and paper.source},
    **{"last_half_mean": float(late.mean()), "last_half_std": float(late.std())},
    "best_over_training_mean": float(curve.max(axis=1).mean()),
    **{
      "gradient_steps": cell["gradient_steps"],
      "dataset": cell["dataset"]["name"],
      "origin": cell["dataset"]["origin"],
    },
    "each_seed": " ".join(f"{value:.1f}" for value in summary["normalized_score"]),
    "stuck_seeds": " ".join(str(s) for s, stuck in zip(cell["seeds"], cells.stuck_agents(cell), strict=True) if stuck),
  }


def order(cell: dict[str, Any]) -> tuple:
  """Tasks by name, qualities from random to expert."""
  known = cell["quality"] in QUALITIES
  return cell["task"], QUALITIES.index(cell["quality"]) if known else len(QUALITIES), cell["dataset"]["name"]


def markdown(found: Sequence[dict[str, Any]], recipe: Sequence[str]) -> str:
  """The table of means, the papers' beside it, every cell in full, and the recipe."""
  ordered = sorted(found, key=order)
  rows = [row(cell) for cell in ordered]
  columns = list(dict.fromkeys(label(cell) for cell in found))
  places = list(dict.fromkeys(r["dataset"] for r in rows))
  at = {(r["dataset"], r["algorithm"]): r for r in rows}
  lines = ["Normalised score of the final policies, mean +- std over seeds:", ""]
  lines += _grid(places, columns, lambda place, name: _ours(at.get((place, name)), at, place))
  if any(r["paper_mean"] is not None for r in rows):
    lines += ["", "The papers' own:", ""]
    lines += _grid(places, columns, lambda place, name: _papers(at.get((place, name))))
    lines += ["", "Ours less theirs:", ""]
    lines += _grid(places, columns, lambda place, name: _less(at.get((place, name))))
  lines += [
    "",
    "Every cell:",
    "",
    "| data | algorithm | seeds | score | IQM [95 % interval] | over the last half | return | each seed | paper |",
  ]
  lines += ["|---" * 9 + "|"]
  for r, cell in zip(rows, ordered, strict=True):
    own = "" if r["dataset_score"] is None else f" ({r['dataset_score']:.1f})"
    interval = "" if r["iqm_low"] is None else f" [{r['iqm_low']:.1f}, {r['iqm_high']:.1f}]"
    lines.append(
      f"| {r['dataset']}{own} | {r['algorithm']} | {r['seeds']} "
      f"| {_of_seeds(r, 'score')} | {r['score_iqm']:.1f}{interval} "
      f"| {_of_seeds(r, 'last_half')} | {_of_seeds(r, 'return')} | {each_seed(cell)} | {_papers(r)} |"
    )
  return "\n".join([*lines, "", *footnotes(ordered), *recipe]) + "\n"


def footnotes(found: Sequence[dict[str, Any]]) -> list[str]:
  """What every table of these cells says below it: the conventions, and what a star means where one is."""
  return [CONVENTIONS, *([STUCK] if any(any(cells.stuck_agents(cell)) for cell in found) else [])]


def each_seed(cell: dict[str, Any]) -> str:
  """The seeds' scores, a star at each that ends with a stuck policy."""
  stars = ("*" if stuck else "" for stuck in cells.stuck_agents(cell))
  return ", ".join(f"{score:.1f}{star}" for score, star in zip(cells.score(cell), stars, strict=True))


def _grid(places, columns, entry) -> list[str]:
  lines = ["| data | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
  return lines + [f"| {p} | " + " | ".join(entry(p, name) for name in columns) + " |" for p in places]


def _ours(r, at, place) -> str:
  if r is None:
    return "-"
  best = max(other["score_mean"] for key, other in at.items() if key[0] == place)
  told = _of_seeds(r, "score") + ("*" if r["stuck_seeds"] else "")
  return f"**{told}**" if r["score_mean"] == best else told


def _papers(r) -> str:
  return "-" if r is None or r["paper_mean"] is None else spread(r["paper_mean"], r["paper_std"])


def _less(r) -> str:
  return "-" if r is None or r["paper_mean"] is None else f"{r['score_mean'] - r['paper_mean']:+.1f}"


def _of_seeds(r: dict[str, Any], what: str) -> str:
  return spread(r[f"{what}_mean"], r[f"{what}_std"] if r["seeds"] > 1 else None)


def spread(mean: float, std: float | None) -> str:
  """A mean, and the standard deviation where there is more than one seed."""
  return f"{mean:.1f}" + (f" +- {std:.1f}" if std is not None else "")


def comma_separated(found: Sequence[dict[str, Any]]) -> str:
  """One line a cell, all numbers in full."""
  rows, file = [row(cell) for cell in sorted(found, key=order)], io.StringIO()
  writer = csv.DictWriter(file, list(rows[0]) if rows else [], lineterminator="\n")
  writer.writeheader()
  writer.writerows(rows)
  return file.getvalue()


def colors(names: Sequence[str]) -> dict[str, str]:
  """A colour for each label; an algorithm's own where it has one, and stands there unchanged or in one way alone."""
  left, bases = iter(MORE_COLORS * (1 + len(names) // len(MORE_COLORS))), [name.split(" (")[0] for name in names]
  known = {
    name: COLORS.get(base) for name, base in zip(names, bases, strict=True) if name == base or bases.count(base) == 1
  }
  return {name: known.get(name) or next(left) for name in names}


def draw(path: pathlib.Path, found: Sequence[dict[str, Any]]) -> None:
  """A panel a task, one above the other; over the data sets each seed as a dot, the mean as a bar, the paper's number
  as a cross."""
  from matplotlib.figure import Figure

  names = list(dict.fromkeys(label(cell) for cell in found))
  tasks = sorted({cell["task"] for cell in found})
  figure = Figure(figsize=(1.5 + 1.0 * max(4, len(names)), 1.0 + 3.6 * len(tasks)), layout="constrained")
  color = colors(names)
  for axes, task in zip(figure.subplots(len(tasks), 1, sharey=True, squeeze=False)[:, 0], tasks, strict=True):
    rows = sorted((cell for cell in found if cell["task"] == task), key=order)
    places = list(dict.fromkeys(cell["dataset"]["name"] for cell in rows))
    for cell in rows:
      name = label(cell)
      x = places.index(cell["dataset"]["name"]) + (names.index(name) - (len(names) - 1) / 2) * 0.8 / len(names)
      values = cells.score(cell)
      axes.bar(x, values.mean(), 0.7 / len(names), color=color[name], alpha=0.35)
      for value, stuck in zip(values, cells.stuck_agents(cell), strict=True):
        axes.plot(x, value, "o", ms=4 if stuck else 3, color=color[name], mfc="white" if stuck else color[name])
      if paper := of_paper(cell):
        axes.plot(x, paper.mean, "x", ms=6, mew=1.6, color="black")
    for index, place in enumerate(places):
      data = next(data_score(cell) for cell in rows if cell["dataset"]["name"] == place)
      if data is not None:
        axes.hlines(data, index - 0.45, index + 0.45, color="black", ls="--", lw=1)
    short = [place.removeprefix(f"{task}-").replace("_", "\n_") for place in places]  # long names over several lines
    axes.set_xticks(range(len(places)), short)
    axes.set_title(task)
    axes.grid(axis="y", alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
  figure.supylabel("normalised score (0 random, 100 expert)", fontsize=10)
  shown = [figure.axes[0].plot([], [], "s", color=color[name])[0] for name in names]
  shown += [figure.axes[0].plot([], [], "x", color="black")[0], figure.axes[0].plot([], [], "--", color="black")[0]]
  words = [*names, "paper, on its own data", "data set's mean"]
  if any(any(cells.stuck_agents(cell)) for cell in found):
    shown += [figure.axes[0].plot([], [], "o", ms=4, color="#777777", mfc="white")[0]]
    words += ["a policy is stuck"]
  columns = max(1, int(figure.get_figwidth() / (0.6 + 0.07 * max(map(len, words)))))  # so that no word is cut off
  figure.legend(shown, words, loc="outside lower center", ncols=min(columns, 5), frameon=False, fontsize=8)
  figure.savefig(path, dpi=130)
