"""Does partial replacement gain more over the joint target as agents become many? Scores on spread over n.

  python -m experiments.agents_study --agents 3,4,6,8,10 --num_seeds 5

Data are made where they are missing: uniform play, or with --quality=medium uncoordinated play, in which each agent is
skilled in some episodes, by lot (marl_offline/collection/fixed_roles.py), so that good play of one agent is as frequent
for every n and that of all together rarer by the power. spread's settings for every n; writes study.md, study.csv and
study.png: score, the part of the agents that SPaCQL replaces, cost. Stop it whenever you like; the same command goes
on, and several share the work. Exit status as main_table.
"""

import pathlib

from absl import flags

from experiments import launch, recipes, runs, settings, study_view
from experiments.recipes import Recipe

FLAGS = flags.FlagValues()
flags.DEFINE_list("agents", ["3", "4", "6", "8", "10"], "how many agents and landmarks", flag_values=FLAGS)
flags.DEFINE_string(
  "quality", "random", "random, or medium or expert by a script with fixed roles; and whose settings", flag_values=FLAGS
)
study_view.define_flags(FLAGS, out="runs/agents")
NOTES = (
  "n agents and n landmarks; from 4 on everything starts in [-2, 2]^2 instead of [-1, 1]^2, as in the original task. "
  "Hyperparameters are those of three agents for every n, and the data have as many steps for every n.",
)


def tasks() -> dict[str, int]:
  """Task name -> n, of --agents.

  Raises:
    UserError: a number that there is no task for.
  """
  known = {task.rpartition("_")[2]: task for task in settings.MORE_AGENTS}
  wanted = [runs.choose("agents", word.strip(), known) for word in FLAGS.agents]
  return {known[word]: int(word) for word in sorted(wanted, key=int)}


def data() -> dict[Recipe, int]:
  """The data of every n, of --quality -> n.

  Raises:
    UserError: there is no such data.
  """
  quality = runs.choose("quality", FLAGS.quality, ("random", *recipes.BY_SCRIPT))
  return {Recipe(task, quality, roles=quality != "random"): n for task, n in tasks().items()}


def panels(points: list[study_view.Point]) -> list[study_view.Panel]:
  """Score, k_eff / n where there are weights, milliseconds."""
  share = study_view.by_algorithm(points, lambda cell: _share(cell))
  cost = study_view.by_algorithm(points, study_view.milliseconds)
  colors = study_view.table_view.colors(list(cost))
  even = {"all k alike": {x: (x + 1) / (2 * x) for x, _ in points}}
  found = [study_view.score_panel(points)]
  label = r"$k_\mathrm{eff} / n$, part of the agents replaced"
  found += [study_view.Panel(label, share, even, False, colors)] if share else []
  return [*found, study_view.Panel("ms an update of one seed", cost, {}, False, colors)]


def _share(cell):
  k_eff = study_view.effective(cell)
  return None if k_eff is None else k_eff / study_view.weights(cell).shape[1]


def main() -> None:
  """The binary."""
  out = pathlib.Path(FLAGS.out)
  points = study_view.trained(data(), FLAGS)
  text = study_view.write(points, out, "n", "number of agents", NOTES, panels(points))
  print(text + f"\n{out / 'study'}.md, .csv and .png")


if __name__ == "__main__":
  launch.binary(main, FLAGS)
