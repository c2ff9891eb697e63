"""One ablation or control: trains what is missing of it, then writes its table, its picture and its comparisons.

  python -m experiments.ablation_table --study control --num_seeds 5

writes <study>.md, .csv and .png into --out, whose cells/ all studies and the main table share: a cell that two of them
ask for is trained once. It can be stopped at any moment, as experiments.main_table. Data sets that a study names are
made where they are missing. --task runs a study of spread on another task, as <study>_<task>. A part of it
(--qualities, --algorithms) writes the files of that part; --show without them those of the whole.
"""

import pathlib

from absl import flags

from experiments import cells, grid, launch, main_table, recipes, rows, runs, settings, studies, table_view
from marl_offline.evaluation import statistics
from marl_offline.evaluation.statistics import Named
from marl_offline.training import logs

FLAGS = flags.FlagValues()
flags.DEFINE_string("study", "control", f"one of {', '.join(studies.STUDIES)}", flag_values=FLAGS)
flags.DEFINE_list("qualities", None, "instead of the study's", flag_values=FLAGS)
rows.define_flag(FLAGS, "task")
flags.DEFINE_string(
  "task", None, "another task for a study of spread; with --datasets, a module of yours to play in", flag_values=FLAGS
)
flags.DEFINE_list("algorithms", None, "only these of the study's", flag_values=FLAGS)
flags.DEFINE_string(
  "protocol", "paper", f"one of {', '.join(settings.PROTOCOLS)}; a study of protocols has its own", flag_values=FLAGS
)
grid.define_flags(FLAGS, out="runs/table")


def of_data(cell: dict) -> str:
  """The name of a cell's data set."""
  return cell["dataset"]["name"]


def differences(found: list[dict], between_data: bool = False) -> list[str]:
  """For each data set, every cell less the study's first one: difference of means, with a 95 % interval.

  between_data: for each algorithm, its cell on every data set less that on the first. The interval is Welch's, over
  seeds.
  """
  within, of = (table_view.label, of_data) if between_data else (of_data, table_view.label)
  kinds = ("algorithm", "data") if between_data else ("data", "algorithm")
  lines = [f"| {kinds[0]} | less | {kinds[1]} | difference | 95 % interval (Welch) |", "|---|---|---|---|---|"]
  for name in dict.fromkeys(map(within, found if between_data else sorted(found, key=table_view.order))):
    first, *others = [cell for cell in found if within(cell) == name]
    for other in others:
      pair = [Named(cells.score(cell), ("seed",)) for cell in (other, first)]
      gap = pair[0].values.mean() - pair[1].values.mean()
      ends = statistics.mean_difference_interval(*pair, "seed")
      told = "one seed, or all alike" if ends is None else f"[{ends[0]:.1f}, {ends[1]:.1f}]"
      lines.append(f"| {name} | {of(first)} | {of(other)} | {gap:+.1f} | {told} |")
  return lines


def data_of(study: studies.Study) -> list[rows.Row]:
  """What it runs on: its own data, or those of --datasets.

  Raises:
    UserError, DataError: see rows.of_folders, rows.require_qualities.
  """
  if FLAGS.datasets:
    return rows.of_folders(FLAGS.datasets, FLAGS.task and [FLAGS.task], FLAGS.qualities, "task")
  rows.require_qualities(FLAGS.qualities or ())
  return studies.own_data(study, FLAGS.data_dir, FLAGS.qualities)


def asked(name: str) -> tuple[str, studies.Study]:
  """The study, on --task if that is another one of ours, and what its files are called.

  Raises:
    UserError: unknown names, or the study is about its task or its data sets.
  """
  name = runs.choose("study", name, studies.STUDIES)
  study = studies.STUDIES[name]
  if FLAGS.datasets or FLAGS.task in (None, study.task):
    return name, study
  task = runs.choose("task", FLAGS.task, settings.TASKS, "; a module of your own needs --datasets")
  if study.task != "spread" or study.data != ({},):
    raise runs.UserError(f"--task={task}: --study={name} is about {study.task} or certain data of it, not to be moved")
  return f"{name}_{task}", study._replace(task=task)


def make_data(study: studies.Study, wanted: list[cells.Cell]) -> None:
  """Those data sets of a study that a cell lacks seeds of, where they are missing.

  Raises:
    DataError, UserError: see collect.make.
  """
  from experiments import collect  # the collectors are imported only when they are needed

  lacking = grid.lacking(wanted, FLAGS)
  names = {cell.dataset or str(recipes.Recipe(cell.task, cell.quality).folder(FLAGS.data_dir)) for cell in lacking}
  for recipe in studies.recipes(study, FLAGS.qualities):
    if str(recipe.folder(FLAGS.data_dir)) in names:
      collect.make_if_missing(recipe, FLAGS.data_dir)


def main() -> None:
  """The binary."""
  (name, study), out = asked(FLAGS.study), pathlib.Path(FLAGS.out)
  wanted = studies.cells(study, FLAGS.protocol, data_of(study), **grid.shortened(FLAGS))
  if FLAGS.algorithms:
    known = list(dict.fromkeys(cell.algorithm for cell in wanted))
    chosen = [runs.choose("algorithms", each, known) for each in FLAGS.algorithms]
    wanted = [cell for cell in wanted if cell.algorithm in chosen]
  if not FLAGS.show and not FLAGS.datasets:
    make_data(study, wanted)
  found = grid.fill(wanted, FLAGS)
  main_table.write(found, out, name)
  lines = [study.question, "", (out / f"{name}.md").read_text()]
  lines += ["Against the first row:", "", *differences(found)]
  if len(study.data) > 1 and not FLAGS.datasets:
    lines += ["", "Against the first data set:", "", *differences(found, between_data=True)]
  with runs.writing(out / f"{name}.md", "the cells are kept; --show writes the table from them"):
    logs.write_atomically(out / f"{name}.md", ("\n".join(lines) + "\n").encode())
  print("\n".join(lines) + f"\n\n{out / name}.md, .csv and .png")


if __name__ == "__main__":
  launch.binary(main, FLAGS)
