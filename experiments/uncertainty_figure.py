"""How sure the critics are of what each target asks of them, CFCQL against ICQL-QS: arXiv:2511.07629 figure 2.

  python -m experiments.uncertainty_figure --task spread --num_seeds 5

Trains the cells that are missing, then writes uncertainty.md, uncertainty.json and uncertainty.png. The measure is the
metric target_std of both algorithms: the standard deviation over the ensemble's members of Q at the next joint actions
that the target is made of, averaged over the batch. CFCQL asks with all agents acting by policy, ICQL-QS with one at a
time, averaged over agents. The members are the target ones, whose values the target holds: that costs nothing, and
SPaCQL's u_k, which is of the online members, is the same quantity some hundred updates earlier.

The paper does not say how many members its ensemble has here; SPaCQL has 10, so both get 10 (--ensemble_size). The
minimum in both targets is then over 10 members too, which is lower than the published CFCQL's over 2. Beside the raw
number stands its ratio to the mean target's size, |target_mean|: where values are larger, so is their spread. It says
nothing where target_mean crosses zero.

Columns of the picture are qualities, bands one standard deviation over seeds. Stop it whenever you like; the same
command goes on. --show trains nothing. Exit status: as main_table.
"""

import pathlib

import numpy as np
from absl import flags

from experiments import cells, grid, launch, metric_curves, rows, settings, table_view
from experiments.cells import Cell
from marl_offline.evaluation.statistics import Named

FLAGS = flags.FlagValues()
ALGORITHMS = ("cfcql", "icql_qs")
flags.DEFINE_string("task", "spread", f"one of {', '.join(settings.TASKS)}", flag_values=FLAGS)
flags.DEFINE_list("qualities", ["random", "expert"], "the columns", flag_values=FLAGS)
rows.define_flag(FLAGS, "task")
flags.DEFINE_integer("ensemble_size", 10, "members of both algorithms", lower_bound=2, flag_values=FLAGS)
flags.DEFINE_string("protocol", "paper", f"one of {', '.join(settings.PROTOCOLS)}", flag_values=FLAGS)
flags.DEFINE_multi_string("set", [], "changes a field of both algorithms' Config; repeatable", flag_values=FLAGS)
flags.DEFINE_string("name", "uncertainty", "name of the files", flag_values=FLAGS)
grid.define_flags(FLAGS, out="runs/table")
WORDS = {"target_std": "std over members", "relative": "std / size of mean target", "target_mean": "mean target"}


def series_of(cell: dict) -> dict[str, Named]:
  """target_std, its ratio to |target_mean|, and target_mean: [seed, evaluation] each."""
  std, mean = (metric_curves.metric(cell, name) for name in ("target_std", "target_mean"))
  size = np.maximum(np.abs(mean.values), np.finfo(np.float32).tiny)
  return {"target_std": std, "relative": Named(std.values / size, std.axes), "target_mean": mean}


def facts_of(cell: dict) -> dict:
  """A cell's entry of uncertainty.json."""
  series = series_of(cell)
  return {
    **{name: cell[name] for name in ("algorithm", "task", "quality", "protocol", "set", "seeds", "gradient_steps")},
    **{"config": cell["config"], "dataset": cell["dataset"]["name"]},
    "numbers": {name: metric_curves.numbers(values, cells.last_half(cell)) for name, values in series.items()},
    "steps": cell["steps"],
    "curves": {name: np.mean(values.values, axis=0).round(6).tolist() for name, values in series.items()},
  }


def markdown(facts: list[dict]) -> str:
  """Both algorithms beside each other, and the second's share of the first."""
  at = {(row["dataset"], row["algorithm"]): row for row in facts}
  lines = []
  for part, words in (("end", "At the end"), ("last_half", "Over the last half of training")):
    lines += [f"{words}, mean +- std over seeds:", ""]
    lines += ["| data | | CFCQL | ICQL-QS | ICQL-QS / CFCQL | seeds |", "|---|---|---|---|---|---|"]
    for data in dict.fromkeys(row["dataset"] for row in facts):
      both = [at.get((data, algorithm)) for algorithm in ALGORITHMS]
      seeds = " and ".join(str(len(row["seeds"])) if row else "0" for row in both)
      for name, what in WORDS.items():
        entries = [row["numbers"][name][part] if row else None for row in both]
        share = "-" if None in entries or name == "target_mean" else f"{entries[1]['mean'] / entries[0]['mean']:.2f}"
        cfcql, icql_qs = (metric_curves.told(entry) if entry else "-" for entry in entries)
        lines.append(f"| {data} | {what} | {cfcql} | {icql_qs} | {share} | {seeds} |")
    lines.append("")
  return "\n".join(lines)


def draw(path: pathlib.Path, found: list[dict]) -> None:
  """A column a quality; the raw spread above, its ratio to the mean target below."""
  places = list(dict.fromkeys(cell["dataset"]["name"] for cell in found))
  members, task = found[0]["config"]["ensemble_size"], metric_curves.tasks_of(found)
  title = (
    f"disagreement of {members} members about the target's joint actions, {task}\n({metric_curves.seeds_of(found)})"
  )
  figure, axes = metric_curves.panels(2, len(places), metric_curves.last_step(found), title)
  shown = {}
  for cell in found:
    column, series = places.index(cell["dataset"]["name"]), series_of(cell)
    who = {"cfcql": "CFCQL: all agents by policy", "icql_qs": "ICQL-QS: one agent by policy"}[cell["algorithm"]]
    for row, name in enumerate(("target_std", "relative")):
      color = table_view.COLORS[cell["algorithm"]]
      shown[who] = metric_curves.band(axes[row, column], cell["steps"], series[name], color)
    axes[0, column].set_title(cell["dataset"]["name"], fontsize=10)
  for row, name in enumerate(("target_std", "relative")):
    axes[row, 0].set_ylabel(WORDS[name])
    axes[row, 0].set_ylim(bottom=0)  # after all is drawn: it keeps the upper end where it is
  figure.legend(shown.values(), shown.keys(), loc="outside lower center", ncols=2, frameon=False, fontsize=9)
  figure.savefig(path, dpi=130)


def main() -> None:
  """The binary."""
  out, changes = pathlib.Path(FLAGS.out), (f"ensemble_size={FLAGS.ensemble_size}", *FLAGS.set)
  wanted = [
    Cell(algorithm, task, quality, FLAGS.protocol, changes, dataset, **grid.shortened(FLAGS))
    for task, quality, dataset in rows.asked(FLAGS, "task")
    for algorithm in ALGORITHMS
  ]
  found = grid.fill(wanted, FLAGS)
  facts = [facts_of(cell) for cell in found]
  text = "\n".join([
    markdown(facts),
    f"Standard deviation over {found[0]['config']['ensemble_size']} target members of Q at the target's joint "
    "actions, mean over the batch and over the updates since the evaluation before; the "
    "ratio is taken per seed and evaluation.",
    "",
    table_view.settings_words((cell["protocol"], table_view.without_size(cell["set"])) for cell in found)
    + metric_curves.origin(found),
    "",
  ])  # fmt: skip
  print(text + "\n" + metric_curves.write(out, FLAGS.name, text, facts, lambda path: draw(path, found)))


if __name__ == "__main__":
  launch.binary(main, FLAGS)
