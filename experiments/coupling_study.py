"""Where does partial replacement stop paying as the behavior's agents become correlated? Scores over kappa.

  python -m experiments.coupling_study --kappas 0,0.25,0.5,0.75,1 --num_seeds 5

makes data whose agents share a draw with probability kappa (see marl_offline/collection/coupled.py) where it is
missing, trains what is missing, and writes study.md, study.csv and study.png. The data sets differ in nothing else:
same seed, same rows; medium and expert are by MAPPO, as in v1. Stop it whenever you like; the same command goes on, and
several share the work. Exit status as main_table.
"""

import pathlib

from absl import flags

from experiments import launch, runs, settings, study_view
from experiments.recipes import Recipe

FLAGS = flags.FlagValues()
TASKS = (*settings.PAPER_TASKS, *settings.MORE_AGENTS)  # of robots there are no such data
flags.DEFINE_list("kappas", ["0", "0.25", "0.5", "0.75", "1"], "each in [0, 1]", flag_values=FLAGS)
flags.DEFINE_string("task", "spread", f"one of {', '.join(TASKS)}", flag_values=FLAGS)
flags.DEFINE_string("quality", "random", "random, medium or expert: who acts, and whose settings", flag_values=FLAGS)
flags.DEFINE_integer("rows", None, "of each data set, where not the standard number", lower_bound=1, flag_values=FLAGS)
study_view.define_flags(FLAGS, out="runs/coupling")
NOTES = (
  "kappa: maximal excess correlation of the behavior, arXiv:2511.07629 definition 1. At every step all agents act by "
  "one draw with probability kappa and each by its own otherwise; an agent by itself acts alike for every kappa.",
)


def kappas() -> list[float]:
  """--kappas.

  Raises:
    UserError: one is no number, or there is no data of it.
  """
  task = runs.choose("task", FLAGS.task, TASKS)
  quality = runs.choose("quality", FLAGS.quality, settings.QUALITIES)
  try:
    values = sorted({float(word) for word in FLAGS.kappas})
  except ValueError as error:
    raise runs.UserError(f"--kappas={','.join(FLAGS.kappas)}: {error}") from error
  for value in values:
    Recipe(task, quality, kappa=value).check()
  return values


def recipe_of(kappa: float) -> Recipe:
  """The data of a kappa."""
  return Recipe(FLAGS.task, FLAGS.quality, rows=FLAGS.rows, kappa=kappa)


def weight_panels(points: list[study_view.Point]) -> list[study_view.Panel]:
  """w_k and k_eff of SPaCQL; none without it."""
  found = [(x, cell) for x, cell in points if study_view.weights(cell) is not None]
  if not found:
    return []
  from matplotlib import colormaps

  count = study_view.weights(found[0][1]).shape[1]
  shade = {f"w_{k + 1}": colormaps["viridis"](0.85 * k / max(count - 1, 1)) for k in range(count)}
  lines = {name: {x: study_view.weights(cell)[:, k] for x, cell in found} for k, name in enumerate(shade)}
  xs = [x for x, _ in found]
  k_eff = study_view.by_algorithm(found, study_view.effective)
  even = {"all k alike": dict.fromkeys(xs, (count + 1) / 2)}
  colors = study_view.table_view.colors(list(k_eff))
  return [
    study_view.Panel("weight of k replaced agents", lines, {"all k alike": dict.fromkeys(xs, 1 / count)}, False, shade),
    study_view.Panel(r"$k_\mathrm{eff} = \Sigma_k\, k\, w_k$", k_eff, even, False, colors),
  ]


def main() -> None:
  """The binary."""
  out = pathlib.Path(FLAGS.out)
  points = study_view.trained({recipe_of(kappa): kappa for kappa in kappas()}, FLAGS)
  panels = [study_view.score_panel(points), *weight_panels(points)]
  text = study_view.write(points, out, "kappa", r"$\kappa$, excess correlation of the behavior", NOTES, panels)
  print(text + f"\n{out / 'study'}.md, .csv and .png")


if __name__ == "__main__":
  launch.binary(main, FLAGS)
