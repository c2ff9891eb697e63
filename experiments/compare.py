"""Several runs in one table and one picture, with the papers' numbers beside them.

  python -m experiments.compare --run runs/spacql-spread-random-paper --run runs/cfcql-spread-random-paper

writes compare.md, compare.json and compare.png into --out. Runs may be finished or not: an unfinished one is shown as
far as it got and marked. Runs that differ in nothing but their seeds count as one.
"""

import collections
import pathlib

import numpy as np
from absl import flags

from experiments import cells, launch, metric_curves, runs, settings, table_view
from marl_offline.evaluation import scores
from marl_offline.training import logs

FLAGS = flags.FlagValues()
flags.DEFINE_multi_string("run", [], "a run folder; repeatable", flag_values=FLAGS)
flags.DEFINE_string("out", "runs/compared", "folder of the table and the picture", flag_values=FLAGS)
flags.DEFINE_string("name", "compare", "name of the files", flag_values=FLAGS)


def read(folder: pathlib.Path) -> dict:
  """What is known of a run: its config.json and every evaluation so far.

  Raises:
    UserError: no run, or none that has evaluated yet.
  """
  config = runs.read_config(folder)
  try:
    returns, steps = logs.load_returns(folder)
  except ValueError as error:
    raise runs.UserError(f"--run={folder} has no evaluation that can be read: {error}") from error
  flags_given, data = config["flags"], config["dataset"]
  return {
    **{name: flags_given[name] for name in ("algorithm", "task", "protocol", "set")},
    "name": table_view.of_flags(flags_given),
    "team_reward": config["run"].get("team_reward"),
    "minibatches": config["run"].get("minibatches"),
    "episodes_per_evaluation": returns.shape[2],
    **{name: data[name] for name in ("quality", "origin", "sha256")},
    "dataset": data["name"],
    "config": settings.in_use(cells.with_defaults(flags_given["algorithm"], config["run"]["config"])),
    "seeds": config["seeds"],
    "steps": np.asarray(steps).tolist(),
    "score": normalized(folder, flags_given["task"], returns.mean(axis=2)),  # [seed, evaluation]
    "gradient_steps": config["run"]["gradient_steps"],
    "dataset_score": runs.data_score(flags_given["task"], data["mean_return"], data.get("caveat")),
    "caveat": data.get("caveat"),
    **{name: config[name] for name in ("device", "versions", "commit")},
  }


def normalized(folder: pathlib.Path, task: str, returns: np.ndarray) -> np.ndarray:
  """Scores of a run's returns.

  Raises:
    UserError: its task is somebody's own and not here.
  """
  try:
    return scores.normalized(task, returns)
  except ValueError as error:
    raise runs.UserError(f"--run={folder} cannot be scored: {error}") from error


def merge(all_runs: list[dict]) -> dict[tuple[str, str, str], list[dict]]:
  """(task, data set, name) -> its runs, in the order given.

  Raises:
    UserError: one seed twice, two data sets of one name, or two runs of one name that differ in length, settings or
      evaluation.
  """
  groups = collections.defaultdict(list)
  for run in all_runs:
    group = groups[run["task"], run["dataset"], run["name"]]
    beside = [other for key, each in groups.items() if key[:2] == (run["task"], run["dataset"]) for other in each]
    if any(other["sha256"] != run["sha256"] for other in beside):
      raise runs.UserError(f"--run: runs on different data sets that are all called {run['dataset']}; compare apart")
    for other in group:
      if twice := set(other["seeds"]) & set(run["seeds"]):
        raise runs.UserError(f"--run: seed {min(twice)} of {run['name']} on {run['dataset']} is there twice")
      for name in ("config", "team_reward", "gradient_steps", "episodes_per_evaluation", "minibatches"):
        if run[name] != other[name]:
          raise runs.UserError(f"--run: two runs of {run['name']} on {run['dataset']} differ in {name}; compare apart")
    group.append(run)
  return groups


def table(merged: dict) -> tuple[str, list[dict]]:
  """Markdown and the same as rows for JSON."""
  lines = [
    "| data | algorithm | gradient steps | seeds | score, mean +- std | each seed | data set | paper (its own data) |",
    "|---|---|---|---|---|---|---|---|",
  ]
  rows = []
  for (task, dataset, name), group in sorted(merged.items()):
    final = np.concatenate([run["score"][:, -1] for run in group])
    reached = [run["steps"][-1] for run in group]
    done = ", ".join(map(str, reached)) if min(reached) < group[0]["gradient_steps"] else ""
    paper = table_view.of_paper(group[0])
    data, std = group[0]["dataset_score"], float(final.std()) if len(final) > 1 else None
    row = {
      **{
        "task": task,
        "quality": group[0]["quality"],
        "dataset": dataset,
        "algorithm": name,
        "seeds": [seed for run in group for seed in run["seeds"]],
      },
      **{"scores": final.round(2).tolist(), "mean": float(final.mean()), "std": std},
      **{"gradient_steps": group[0]["gradient_steps"], "stopped_at": done or None, "dataset_score": data},
      **{"paper": paper._asdict() if paper else None, "config": group[0]["config"], "device": group[0]["device"]},
      **{"versions": group[0]["versions"], "commit": group[0]["commit"]},
      "curves": [
        {"steps": run["steps"], "score": run["score"].round(1).tolist(), "seeds": run["seeds"]} for run in group
      ],
    }
    rows.append(row)
    told = "-" if paper is None else table_view.spread(paper.mean, paper.std)
    steps = f"{row['gradient_steps']}" + (f" (so far {done})" if done else "")
    if fitting := settings.behavior_updates(row["config"]):
      steps += f", the first {fitting} on a model of the behavior"
    each = ", ".join(f"{score:.1f}" for score in final)
    lines.append(
      f"| {dataset} | {name} | {steps} | {len(final)} | {table_view.spread(final.mean(), std)} | {each} "
      f"| {'-' if data is None else f'{data:.1f}'} | {told} |"
    )
  return "\n".join(lines) + "\n", rows


def draw(path: pathlib.Path, merged: dict) -> None:
  """One panel a data set; thin lines are seeds, thick ones their mean, dashed the data set, dotted the papers."""
  from matplotlib.figure import Figure

  panels = sorted({(task, dataset) for task, dataset, _ in merged})
  figure = Figure(figsize=(5.2 * len(panels), 4.8), layout="constrained")
  color_of = table_view.colors(sorted({name for *_, name in merged}))
  shown = {}  # label -> line, for one legend under all panels
  for axes, panel in zip(np.ravel(figure.subplots(1, len(panels), sharey=True, squeeze=False)), panels, strict=True):
    groups = {name: group for (task, dataset, name), group in merged.items() if (task, dataset) == panel}
    for name, group in sorted(groups.items()):
      color = color_of[name]
      for run in group:
        axes.plot(run["steps"], run["score"].T, color=color, lw=0.8, alpha=0.4)
      steps = sorted(set.intersection(*(set(run["steps"]) for run in group)))
      at = [[run["steps"].index(step) for step in steps] for run in group]
      mean = np.concatenate([run["score"][:, i] for run, i in zip(group, at, strict=True)]).mean(axis=0)
      (shown[name],) = axes.plot(steps, mean, color=color, lw=2.0)
      if paper := table_view.of_paper(group[0]):
        shown["paper, on its own data"] = axes.axhline(paper.mean, color=color, ls=":", lw=1.2)
      data = group[0]["dataset_score"]
    if data is not None:
      shown["data set's mean"] = axes.axhline(data, color="black", ls="--", lw=1.2)
    axes.set(title=panel[1], xlabel="gradient steps", xlim=(0, None))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
  columns = int(figure.get_figwidth() / (0.5 + 0.065 * max(map(len, shown))))  # inches of a line and of its words
  figure.legend(shown.values(), shown, loc="outside lower center", ncols=max(1, columns), frameon=False, fontsize=8)
  figure.axes[0].set_ylabel("normalised score (0 random, 100 expert)")
  figure.savefig(path, dpi=130)


def main() -> None:
  """The binary."""
  if not FLAGS.run:
    raise runs.UserError("--run is missing: name at least one run folder")
  merged = merge([read(pathlib.Path(folder)) for folder in FLAGS.run])
  text, rows = table(merged)
  out = pathlib.Path(FLAGS.out)
  kept = "the runs are untouched; the same command writes it again"
  told = metric_curves.write(out, FLAGS.name, text, rows, lambda path: draw(path, merged), kept)
  print(f"{text}\n{told}")


if __name__ == "__main__":
  launch.binary(main, FLAGS)
