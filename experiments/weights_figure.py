"""How SPaCQL's weights move while it trains: arXiv:2511.07629 figure 3, and what stands behind it.

  python -m experiments.weights_figure --task spread --num_seeds 5

Trains the cells that are missing, one a quality, then writes weights.md, weights.json and weights.png. Columns of the
picture are qualities; its rows, all means over batch and seeds: the weights w_k as they are in the target, dotted 1/K;
the same after min-max normalisation; the ensemble's disagreement u_k that they come from, equation 7; and k_eff =
sum_k k w_k, dotted (K + 1) / 2. Bands are one standard deviation over seeds.

The paper's caption says "min-max normalization" and no more. Here it is per seed and evaluation and over k:
(w_k - min_j w_j) / (max_j w_j - min_j w_j), 1/2 where all are equal. So the largest weight is drawn at 1 and the
smallest at 0 however close they are: that row shows their order, the first one their size.

Stop it whenever you like; the same command goes on. --show trains nothing. Exit status: as main_table.
"""

import pathlib

import numpy as np
from absl import flags

from experiments import cells, grid, launch, metric_curves, rows, settings, table_view
from experiments.cells import Cell
from marl_offline.evaluation.curves import SEED_COLORS
from marl_offline.evaluation.statistics import Named

FLAGS = flags.FlagValues()
flags.DEFINE_string("task", "spread", f"one of {', '.join(settings.TASKS)}", flag_values=FLAGS)
flags.DEFINE_list("qualities", list(settings.QUALITIES), "the columns", flag_values=FLAGS)
rows.define_flag(FLAGS, "task")
flags.DEFINE_string("protocol", "paper", f"one of {', '.join(settings.PROTOCOLS)}", flag_values=FLAGS)
flags.DEFINE_multi_string("set", [], "changes a field of SPaCQL's Config; repeatable", flag_values=FLAGS)
flags.DEFINE_string("name", "weights", "name of the files", flag_values=FLAGS)
grid.define_flags(FLAGS, out="runs/table")


def per_k(cell: dict, letter: str) -> Named:
  """w_k or u_k of a cell as [seed, evaluation, k]."""
  names = [f"{letter}_{k}" for k in range(1, 1 + sum(name.startswith("w_") for name in cell["metrics"]))]
  each = [metric_curves.metric(cell, name).values for name in names or [f"{letter}_1"]]
  return Named(np.stack(each, axis=-1), ("seed", "evaluation", "k"))


def min_max(weight: Named) -> Named:
  """(w - min) / (max - min) over the axis k, 1/2 where all are equal."""
  axes = (*weight._without("k"), "k")
  values = weight.ordered(axes)
  low, high = values.min(axis=-1, keepdims=True), values.max(axis=-1, keepdims=True)
  width = high - low
  return Named(np.where(width > 0, (values - low) / np.where(width > 0, width, 1), 0.5), axes)


def series_of(cell: dict) -> dict[str, Named]:
  """Everything that is drawn and told of a cell: name -> [seed, evaluation]."""
  weight, u = per_k(cell, "w"), per_k(cell, "u")
  found = {}
  for name, values in (("w", weight), ("normalized_w", min_max(weight)), ("u", u)):
    found |= {f"{name}_{k + 1}": values.at("k", k) for k in range(values.size("k"))}
  return found | {"k_eff": metric_curves.metric(cell, "k_eff")}


def facts_of(cell: dict) -> dict:
  """A cell's entry of weights.json."""
  series = series_of(cell)
  return {
    **{name: cell[name] for name in ("task", "quality", "protocol", "set", "seeds", "gradient_steps", "config")},
    "dataset": cell["dataset"]["name"],
    "numbers": {name: metric_curves.numbers(values, cells.last_half(cell)) for name, values in series.items()},
    "steps": cell["steps"],
    "curves": {name: np.mean(values.values, axis=0).round(6).tolist() for name, values in series.items()},
  }


def markdown(facts: list[dict]) -> str:
  """The numbers, at the end and over the last half, a row for each quality."""
  names = list(max((row["numbers"] for row in facts), key=len))  # of the most agents
  lines = []
  for part, words in (("end", "At the end"), ("last_half", "Over the last half of training")):
    lines += [f"{words}, mean +- std over seeds:", "", f"| data | seeds | {' | '.join(names)} |"]
    lines += ["|---" * (2 + len(names)) + "|"]
    for row in facts:
      own = row["numbers"]
      entries = " | ".join(metric_curves.told(own[name][part]) if name in own else "-" for name in names)
      lines.append(f"| {row['dataset']} | {len(row['seeds'])} | {entries} |")
    lines.append("")
  return "\n".join(lines)


def draw(path: pathlib.Path, found: list[dict]) -> None:
  """A column a quality; rows w, w after min-max, u and k_eff."""
  title = f"SPaCQL on {metric_curves.tasks_of(found)}: weights of k replaced actions ({metric_curves.seeds_of(found)})"
  figure, axes = metric_curves.panels(4, len(found), metric_curves.last_step(found), title)
  shown = {}
  for column, cell in enumerate(found):
    series = series_of(cell)
    sizes = sum(name.startswith("w_") for name in series)
    for row, name in enumerate(("w", "normalized_w", "u")):
      for k in range(1, sizes + 1):
        color = SEED_COLORS[(k - 1) % len(SEED_COLORS)]
        shown[f"k = {k}"] = metric_curves.band(axes[row, column], cell["steps"], series[f"{name}_{k}"], color)
    metric_curves.band(axes[3, column], cell["steps"], series["k_eff"], "black")
    axes[0, column].axhline(1 / sizes, color="#777777", ls=":", lw=1.2)
    shown["all k alike"] = axes[3, column].axhline((sizes + 1) / 2, color="#777777", ls=":", lw=1.2)
    axes[0, column].set_title(cell["dataset"]["name"], fontsize=10)
    metric_curves.logarithmic(axes[2, column])
  for row, words in enumerate(("$w_k$", "$w_k$, min-max\nover $k$", "$u_k$ (log)", r"$k_\mathrm{eff}$")):
    axes[row, 0].set_ylabel(words)
  figure.legend(shown.values(), shown.keys(), loc="outside lower center", ncols=6, frameon=False, fontsize=9)
  figure.savefig(path, dpi=130)


def main() -> None:
  """The binary."""
  out, changes = pathlib.Path(FLAGS.out), tuple(FLAGS.set)
  shortened = grid.shortened(FLAGS)
  wanted = [
    Cell("spacql", task, quality, FLAGS.protocol, changes, dataset, **shortened)
    for task, quality, dataset in rows.asked(FLAGS, "task")
  ]
  found = grid.fill(wanted, FLAGS)
  facts = [facts_of(cell) for cell in found]
  text = "\n".join([
    markdown(facts),
    "w_k and u_k are means over the batch and over the updates since the evaluation before; normalized_w_k is "
    "(w_k - min) / (max - min) over k, per seed and evaluation, then averaged.",
    "",
    table_view.settings_words((cell["protocol"], cell["set"]) for cell in found) + metric_curves.origin(found),
    "",
  ])  # fmt: skip
  print(text + "\n" + metric_curves.write(out, FLAGS.name, text, facts, lambda path: draw(path, found)))


if __name__ == "__main__":
  launch.binary(main, FLAGS)
