"""Cells taken together: one algorithm against every other over the data sets, and a file for marl-eval.

  python -m experiments.aggregate --cells runs/table/cells --of spacql

Nothing is trained. Of each task and quality one data set counts, the newest version of ours where there is one: others
are other data, and no average is taken over both. --datasets names others. Writes into --out:

aggregate.md, aggregate.json, aggregate.png: as arXiv:2108.13264 proposes, over the normalised scores of the final
policies. Against each other algorithm, on the data sets where both have cells: the probability that a seed of --of is
better (ties one half), averaged over data sets, and both interquartile means over data sets x seeds. Brackets are 95 %
bootstrap intervals, seeds drawn within each data set. The picture shows besides the share of runs above each score for
the algorithms that have cells on all data sets of --of. Every cell of a comparison counts with the same number of
seeds, its first ones: the fewest that one of them has, or --num_seeds, and then cells with fewer do not count.

marl_eval.json: raw curves in the format of https://github.com/instadeepai/marl-eval, environment -> task-quality ->
algorithm -> seed_S -> step_N -> step_count (gradient steps, there are no environment steps here), return and
normalized_score, each a list of one number, the mean over the evaluation's episodes. "absolute_metrics" comes last and
holds the same of the final policy. That is not the best policy over training, evaluated anew with ten times the
episodes, as arXiv:2209.10485 has it: choosing that one would spend online episodes. marl-eval asks for the same
algorithms, seeds and numbers of evaluations on all tasks; what stands against that is said at the end. --algorithms,
--tasks, --qualities, --datasets and --num_seeds cut a part out that fits.
"""

import collections
import json
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
from absl import flags

from experiments import aggregate_view, cell_data, cells, launch, metric_curves, runs, settings, table_view
from marl_offline.datasets import storage
from marl_offline.evaluation import scores, statistics
from marl_offline.evaluation.statistics import Named
from marl_offline.training import logs

FLAGS = flags.FlagValues()
flags.DEFINE_multi_string("cells", ["runs/table/cells"], "a folder of cells; repeatable", flag_values=FLAGS)
flags.DEFINE_string("of", "spacql", "who is compared with each other one", flag_values=FLAGS)
flags.DEFINE_list("algorithms", [], "only these, as tables call them; default all that have cells", flag_values=FLAGS)
flags.DEFINE_list("tasks", [], "only these; default all", flag_values=FLAGS)
flags.DEFINE_list("qualities", [], "only these; default all", flag_values=FLAGS)
flags.DEFINE_list(
  "datasets", [], "only these, such as spread-expert-v1; default the newest version of each", flag_values=FLAGS
)
flags.DEFINE_integer("num_seeds", None, "of each cell, and no cell with fewer", lower_bound=1, flag_values=FLAGS)
flags.DEFINE_string("environment", "mpe", "name in marl_eval.json", flag_values=FLAGS)
flags.DEFINE_string("out", "runs/table", "folder of the files", flag_values=FLAGS)
flags.DEFINE_string("name", "aggregate", "name of the table and the picture", flag_values=FLAGS)

Grid = dict[str, dict[str, dict]]  # algorithm -> data set -> cell
RUNS = ("dataset", "seed")


def labels(asked: Sequence[str]) -> list[str]:
  """--algorithms, whose labels may have commas in their brackets."""
  found: list[str] = []
  for part in asked:
    if found and found[-1].count("(") > found[-1].count(")"):
      found[-1] += f", {part}"
    else:
      found.append(part)
  return found


def place_of(cell: dict) -> str:
  """What tells a cell's data and length apart: the data set; updates, episodes, evaluations that are no protocol's.

  Raises:
    UserError: it is of an algorithm or a task of somebody's own that is not here.
  """
  try:
    run = settings.PROTOCOLS[cell["protocol"]](*(cell[name] for name in ("algorithm", "task", "settings_of")))
  except ValueError as error:
    raise runs.UserError(f"a cell on {cell['dataset']['name']}: {error}") from error
  words, steps = [cell["dataset"]["name"]], cell["gradient_steps"]
  if steps != run.gradient_steps + settings.behavior_updates(cell["config"]):
    words.append(f"{steps} updates")
  if cell["episodes_per_evaluation"] != run.episodes:
    words.append(f"{cell['episodes_per_evaluation']} episodes")
  if (count := len(cell["steps"])) != steps * run.evaluations // run.gradient_steps:
    words.append(f"{count} evaluations")
  return ", ".join(words)


def read(folders: Sequence[str]) -> Grid:
  """All cells by label and data set; parts of one cell in several folders are joined.

  Raises:
    UserError: there are none, a damaged one, two that cannot be one cell, or two of different data of one name.
  """
  found: Grid = collections.defaultdict(dict)
  for folder in folders:
    for cell in cells.load_all(pathlib.Path(folder)):
      name, place = table_view.label(cell), place_of(cell)
      found[name][place] = cells.join(found[name].get(place), cell)
  cell_data.require_one_content([cell for row in found.values() for cell in row.values()])
  if not found:
    raise runs.UserError(f"--cells={folders[0] if folders else ''} holds no cells; main_table trains them")
  return {name: dict(sorted(row.items(), key=lambda item: table_view.order(item[1]))) for name, row in found.items()}


def newest(every: Sequence[dict]) -> set[str]:
  """One data set of each task and quality: the newest numbered version, or the first by name where none is numbered."""
  names = collections.defaultdict(set)
  for cell in every:
    names[cell["task"], cell["quality"]].add(cell["dataset"]["name"])
  return {storage.newest(known, *of) or min(known) for of, known in names.items()}


def chosen(grid: Grid, algorithms, tasks, qualities, datasets, num_seeds: int | None) -> Grid:
  """The part of it that the flags ask for; empty lists ask for all, and for the newest data sets.

  Raises:
    UserError: a name that no cell has, or nothing is left.
  """
  every = [cell for row in grid.values() for cell in row.values()]
  for flag, asked, known in (
    ("algorithms", algorithms, grid),
    ("tasks", tasks, {cell["task"] for cell in every}),
    ("qualities", qualities, {cell["quality"] for cell in every}),
    ("datasets", datasets, {cell["dataset"]["name"] for cell in every}),
  ):
    for name in asked:
      runs.choose(flag, name, sorted(known))
  wanted = set(datasets) or newest(every)
  kept = {
    name: {
      place: cell
      for place, cell in row.items()
      if (not tasks or cell["task"] in tasks)
      and (not qualities or cell["quality"] in qualities)
      and cell["dataset"]["name"] in wanted
      and len(cell["seeds"]) >= (num_seeds or 1)
    }
    for name, row in grid.items()
    if not algorithms or name in algorithms
  }
  kept = {name: row for name, row in kept.items() if row}
  if not kept:
    raise runs.UserError("no cell is left; ask for more algorithms, tasks, qualities or datasets, or for fewer seeds")
  return kept


def left_out(everything: Grid, grid: Grid) -> list[str]:
  """Data sets of the cells that no chosen cell is of."""
  whole, kept = (
    {cell["dataset"]["name"] for row in each.values() for cell in row.values()} for each in (everything, grid)
  )
  return sorted(whole - kept)


def shared(rows: Sequence[Mapping[str, dict]]) -> list[str]:
  """The data sets on which all have cells, in the first one's order."""
  return [place for place in rows[0] if all(place in row for row in rows)]


def samples(rows: Sequence[Mapping[str, dict]], num_seeds: int | None) -> list[Named]:
  """Normalised scores [dataset, seed] of each row on the shared data sets, the first seeds of every cell."""
  places = shared(rows)
  count = num_seeds or min(len(row[place]["seeds"]) for row in rows for place in places)
  return [Named([cells.score(row[place])[:count] for place in places], RUNS) for row in rows]


def probability(x: Named, y: Named) -> Named:
  """P(X > Y), averaged over data sets."""
  return statistics.mean(statistics.probability_of_improvement(x, y, over="seed"), over="dataset")


def pooled_iqm(x: Named) -> Named:
  """Interquartile mean over data sets x seeds."""
  return statistics.iqm(x.joined(RUNS, "run"), over="run")


def estimate(statistic, *of: Named) -> dict:
  """The statistic and its interval, None for one seed."""
  interval = statistics.stratified_interval(statistic, *of, over="seed")
  return {"value": float(statistic(*of).values), "ci95": interval and [float(end) for end in interval]}


def against_each(grid: Grid, of: str, num_seeds: int | None) -> list[dict]:
  """--of beside every other that shares a data set with it, the likeliest improvement first."""
  found = []
  for other in grid:
    if other == of or not (places := shared([grid[of], grid[other]])):
      continue
    x, y = samples([grid[of], grid[other]], num_seeds)
    each = statistics.probability_of_improvement(x, y, over="seed").values
    found.append({
      "of": of, "over": other, "datasets": places, "seeds": x.size("seed"),
      "probability_of_improvement": estimate(probability, x, y), "iqm_of": estimate(pooled_iqm, x),
      "iqm_over": estimate(pooled_iqm, y), "probability_each": dict(zip(places, each.tolist(), strict=True)),
    })  # fmt: skip
  return sorted(found, key=lambda row: -row["probability_of_improvement"]["value"])


def profiles(grid: Grid, of: str, num_seeds: int | None) -> dict:
  """IQM and performance profile of --of and of all that have cells on its every data set."""
  names = [of, *(name for name, row in grid.items() if name != of and set(grid[of]) <= set(row))]
  each = samples([grid[name] for name in names], num_seeds)
  ends = [function(x.values) for x in each for function in (np.min, np.max)]
  levels = np.linspace(min(0.0, *ends), max(100.0, *ends), 101)

  def above(x):
    return statistics.mean(statistics.fraction_above(x, levels, over="seed"), over="dataset")

  found = {"datasets": list(grid[of]), "seeds": each[0].size("seed"), "levels": levels.round(3).tolist()}
  found["algorithms"] = {
    name: {
      "iqm": estimate(pooled_iqm, x),
      "above": above(x).values.tolist(),
      "above_ci95": (ends := statistics.stratified_interval(above, x, over="seed", resamples=2000))
      and [end.tolist() for end in ends],
    }
    for name, x in zip(names, each, strict=True)
  }
  return found | {"left_out": sorted(set(grid) - set(names))}


def marl_eval(grid: Grid, environment: str, num_seeds: int | None) -> dict:
  """The file's content; keys in lower case, as marl-eval looks them up."""
  tasks: dict = collections.defaultdict(dict)
  for name, row in grid.items():
    for place, cell in row.items():
      seeds = cell["seeds"][:num_seeds]
      tasks[place.lower()][name] = {f"seed_{seed}": _run(cell, index) for index, seed in enumerate(seeds)}
  return {environment.lower(): dict(tasks)}


def _run(cell: dict, index: int) -> dict:
  def metrics(raw):
    return {"return": [raw], "normalized_score": [round(float(scores.normalized(cell["task"], raw)), 4)]}

  curve = zip(cell["steps"], cell["curve"][index], strict=True)
  logged = {f"step_{number}": {"step_count": step} | metrics(raw) for number, (step, raw) in enumerate(curve, 1)}
  return logged | {"absolute_metrics": metrics(cell["final_returns"][index])}


def not_rectangular(file: dict) -> list[str]:
  """Why marl-eval would refuse the file; [] where it takes it."""
  (tasks,) = file.values()
  algorithms = sorted({name for row in tasks.values() for name in row})
  lacking = [f"{name} lacks {place}" for place, row in tasks.items() for name in algorithms if name not in row]
  all_runs = [each for row in tasks.values() for each in row.values()]
  seeds = {tuple(each) for each in all_runs}
  counts = sorted({len(steps) - 1 for each in all_runs for steps in each.values()})
  found = [", ".join(lacking[:3]) + (f" and {len(lacking) - 3} more" if lacking[3:] else "")] if lacking else []
  found += ["the cells have other seeds"] if len(seeds) > 1 else []
  return found + ([f"the tasks have {' and '.join(map(str, counts))} evaluations"] if counts[1:] else [])


def main() -> None:
  """The binary."""
  out = pathlib.Path(FLAGS.out)
  asked = (labels(FLAGS.algorithms), FLAGS.tasks, FLAGS.qualities, FLAGS.datasets)
  everything = read(FLAGS.cells)
  grid = chosen(everything, *asked, FLAGS.num_seeds)
  runs.choose("of", FLAGS.of, grid)
  facts = {
    "against_each": against_each(grid, FLAGS.of, FLAGS.num_seeds),
    "profiles": profiles(grid, FLAGS.of, FLAGS.num_seeds),
  }
  every = [cell for row in grid.values() for cell in row.values()]
  text = aggregate_view.markdown(facts, FLAGS.of) + f"\n{metric_curves.origin(every)}\n"
  told = metric_curves.write(out, FLAGS.name, text, facts, lambda path: aggregate_view.draw(path, facts, FLAGS.of))
  file = marl_eval(grid, FLAGS.environment, FLAGS.num_seeds)
  with runs.writing(None, "the cells are untouched; the same command writes it again"):
    logs.write_atomically(out / "marl_eval.json", (json.dumps(file, indent=1) + "\n").encode())
  print(f"{text}\n{told}; {out / 'marl_eval.json'}")
  if not FLAGS.datasets and (others := left_out(everything, grid)):
    print(f"left out are cells of data sets that --datasets would name: {', '.join(others)}")
  if against := not_rectangular(file):
    print(f"marl-eval itself takes only a full grid, and here {'; '.join(against)}")


if __name__ == "__main__":
  launch.binary(main, FLAGS)
