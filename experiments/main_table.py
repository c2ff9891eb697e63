"""The papers' table of scores: trains every cell that is missing, then writes table.md, table.csv and table.png.

  python -m experiments.main_table --algorithms spacql,cfcql,bc --tasks spread --num_seeds 5
  python -m experiments.main_table --algorithms spacql,cfcql,bc --datasets data/spread-expert-omar0,data/spread-mine-v1

Stop it whenever you like; the same command goes on, and more algorithms, qualities or seeds fill in what lacks. Each
cell becomes a JSON file in --out/cells when its seeds are done. Exit status: 0 done, or stopped by SIGTERM or SIGINT
after saving; 1 a run failed, the others are done; 2 input or disk.
"""

import pathlib

from absl import flags

from experiments import grid, launch, rows, runs, settings, table_view, train_request
from experiments.cells import Cell
from marl_offline.training import logs

FLAGS = flags.FlagValues()
flags.DEFINE_list("algorithms", list(settings.ALGORITHMS), "the columns", flag_values=FLAGS)
flags.DEFINE_list("tasks", list(settings.PAPER_TASKS), "of the rows", flag_values=FLAGS)
flags.DEFINE_list("qualities", list(settings.QUALITIES), "of the rows", flag_values=FLAGS)
rows.define_flag(FLAGS, "tasks")
flags.DEFINE_string("protocol", "paper", f"one of {', '.join(settings.PROTOCOLS)}", flag_values=FLAGS)
flags.DEFINE_multi_string("set", [], "changes a field of every algorithm's Config; repeatable", flag_values=FLAGS)
grid.define_flags(FLAGS, out="runs/table")


def short_commit(commit: str | None) -> str:
  """Nine letters, and "+changes" where files differed from it."""
  name, changed, _ = (commit or "unknown").partition("+")
  return name[:9] + changed + ("changes" if changed else "")


def recipe(found: list[dict]) -> list[str]:
  """What stands under the table: how every number came about."""
  versions = sorted({f"jax {run['versions'].get('jax')}, {run['device']}" for cell in found for run in cell["runs"]})
  commits = sorted({short_commit(run["commit"]) for cell in found for run in cell["runs"]})
  steps = sorted({cell["gradient_steps"] for cell in found})
  episodes = sorted({cell["episodes_per_evaluation"] for cell in found})
  tasks = sorted({cell["task"] for cell in found})
  return [
    f"Final greedy policy after {' / '.join(map(str, steps))} gradient steps, {' / '.join(map(str, episodes))} "
    "episodes a seed, the same ones for every seed; no online episode was spent on choosing anything.",
    "Return: agents' mean of an episode's reward sum. In brackets after a data set its own mean score, if it compares. "
    "Over the last half: the mean score of all evaluations in the second half of training, steadier than the last one.",
    *table_view.scales(tasks),
    *origins(found),
    f"Trained with {'; '.join(versions)}; commits {', '.join(commits)}. Hyperparameters, device and curves of each "
    "cell are in its file.",
  ]  # fmt: skip


def origins(found: list[dict]) -> list[str]:
  """Whose data the cells are of, and what their cards warn of."""
  theirs = [cell for cell in found if cell["dataset"]["origin"] != "collected"]
  converted = {cell["dataset"]["name"]: cell.get("caveat", "") for cell in theirs}
  told = (
    ["Ours are on our own data, the papers' on theirs; tag and world have another prey than the papers'."]
    if len(theirs) < len(found)
    else []
  )
  told += [
    f"{name} was not collected here but converted from other files{caveat and '; '}{caveat}."
    for name, caveat in converted.items()
  ]
  like = {
    cell["dataset"]["name"]: cell["settings_of"]
    for cell in theirs
    if cell["settings_of"] != cell["quality"] and "." not in cell["algorithm"]  # those have their defaults
  }
  told += [f"{name} is trained on with the settings of {quality}." for name, quality in like.items()]
  each = {cell["dataset"]["name"]: len(cell["dataset"]["each"]) for cell in found if "each" in cell["dataset"]}
  told += [f"{name}: each seed is trained on a data set of its own, {count} in all." for name, count in each.items()]
  if any(table_view.of_paper(cell) for cell in theirs if "each" not in cell["dataset"]):
    told.append(
      "Our std is over training seeds on one data set; the papers' is over five, each on a data set of its own."
    )
  return told


def write(found: list[dict], out: pathlib.Path, name: str = "table") -> str:
  """The three files. -> the Markdown.

  Raises:
    UserError: the disk refuses.
  """
  text = table_view.markdown(found, recipe(found))
  with runs.writing(None, "the cells are kept; --show writes the table from them"):
    logs.write_atomically(out / f"{name}.md", text.encode())
    logs.write_atomically(out / f"{name}.csv", table_view.comma_separated(found).encode())
    table_view.draw(out / f"{name}.png", found)
  return text


def main() -> None:
  """The binary."""
  out = pathlib.Path(FLAGS.out)
  for name in FLAGS.algorithms:
    train_request.named("algorithms", name, settings.ALGORITHMS, settings.load)
  for name in FLAGS.tasks:
    train_request.named("tasks", name, settings.TASKS, settings.load_task)
  wanted = [
    Cell(algorithm, task, quality, FLAGS.protocol, tuple(FLAGS.set), dataset, **grid.shortened(FLAGS))
    for task, quality, dataset in rows.asked(FLAGS, "tasks")
    for algorithm in FLAGS.algorithms
  ]
  print(write(grid.fill(wanted, FLAGS), out) + f"\n{out / 'table'}.md, .csv and .png")


if __name__ == "__main__":
  launch.binary(main, FLAGS)
