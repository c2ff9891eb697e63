"""Which agents' policies are stuck in a corner of the action space? Asked of finished runs.

  python -m experiments.stuck_policies --run_dir runs/a --run_dir runs/b

An actor that is saturated whatever it sees has no gradient and never learns again (evaluation/saturation.py). So a seed
that lies far from the others is worth this question. Takes each run's newest checkpoint and 1,000 rows of its data set.

Writes stuck_policies.md, .json and .png. Nothing is trained. Exit status: 0 done; 2 input or disk.
"""

import collections
import pathlib
from typing import Any

import numpy as np
from absl import flags

from experiments import cells, evaluate, launch, metric_curves, runs, settings, table_view
from marl_offline.datasets import storage
from marl_offline.evaluation import saturation, scores
from marl_offline.training import checkpoints, logs

FLAGS = flags.FlagValues()
flags.DEFINE_multi_string("run_dir", [], "folder of a run; repeatable", flag_values=FLAGS)
flags.DEFINE_string("out", "runs/reports", "folder of the files", flag_values=FLAGS)


def facts_of(folder: pathlib.Path) -> dict[str, Any]:
  """A run's entry of the JSON file; score and stuck_agents are lists over seeds.

  Raises:
    UserError, CheckpointError, DataError: the run or its data cannot be read.
  """
  written = runs.read_config(folder)
  learner, states, meta = checkpoints.load_learner(folder)
  evaluate.matching_environment(meta)
  place = pathlib.Path(written["dataset"]["folder"])
  runs.require_same_data(written["dataset"], place, folder)
  try:
    returns, steps = logs.load_returns(folder)
  except ValueError as error:
    raise runs.UserError(str(error)) from error
  if steps[-1] != meta["step"]:
    told = f"its newest checkpoint is of step {meta['step']}, its last evaluation of step {steps[-1]}"
    raise runs.UserError(f"{folder} was stopped between two evaluations: {told}; go on with it first")
  action = saturation.greedy_actions(learner, states, storage.load(place, verify=False)[0].obs)
  return {
    "run": table_view.of_flags(written["flags"]),
    **{"dataset": written["dataset"]["name"], "data": written["dataset"]["sha256"]},
    "config": settings.in_use(cells.with_defaults(written["flags"]["algorithm"], written["run"]["config"])),
    **{name: meta[name] for name in ("task", "seeds", "step")},
    "commit": written["commit"],
    "score": np.round(scores.normalized(meta["task"], returns[:, -1].mean(axis=1)), 1).tolist(),
    "stuck_agents": saturation.stuck_agents(action),
  }


def markdown(facts: list[dict[str, Any]]) -> str:
  """How many seeds of each kind have a stuck policy, and every such seed."""
  lines = ["| data | run | seeds | with a stuck policy | their scores | the others' |", "|---" * 6 + "|"]
  for (data, run), rows in kinds(facts).items():
    lost, kept = ([row[1] for row in rows if bool(row[2]) is stuck] for stuck in (True, False))
    words = [", ".join(f"{score:.1f}" for score in sorted(each)) or "-" for each in (lost, kept)]
    lines.append(f"| {data} | {run} | {len(rows)} | {len(lost)} | {words[0]} | {words[1]} |")
  return "\n".join([*lines, ""])


def kinds(facts: list[dict[str, Any]]) -> dict[tuple[str, str], list[tuple[int, float, list[int]]]]:
  """(data set, run's words) -> seed, score and stuck agents of every seed. Runs of one length are one kind, and a seed
  that two of them have counts once.

  Raises:
    UserError: two runs of one kind differ in what its words do not tell: settings, or the data of one name.
  """
  lengths, found, firsts = collections.defaultdict(set), collections.defaultdict(dict), {}
  for row in facts:
    lengths[row["dataset"], row["run"]].add(row["step"])
  for row in sorted(facts, key=lambda row: (row["dataset"], row["run"], row["step"])):
    long = f", {row['step']} updates" if len(lengths[row["dataset"], row["run"]]) > 1 else ""
    kind = row["dataset"], row["run"] + long
    first = firsts.setdefault(kind, row)
    if any(first[name] != row[name] for name in ("config", "data")):
      raise runs.UserError(f"--run_dir: two runs of {kind[1]} on {kind[0]} differ in settings or data; ask them apart")
    seeds = zip(row["seeds"], row["score"], row["stuck_agents"], strict=True)
    found[kind].update({seed: (seed, *rest) for seed, *rest in seeds})
  return {kind: [rows[seed] for seed in sorted(rows)] for kind, rows in found.items()}


def draw(path: pathlib.Path, facts: list[dict[str, Any]]) -> None:
  """A line for each kind of run: a dot a seed at its score, a cross where a policy is stuck."""
  from matplotlib.figure import Figure

  found = kinds(facts)
  figure = Figure(figsize=(8.5, 1.4 + 0.24 * len(found)), layout="constrained")
  axes = figure.subplots()
  for place, rows in enumerate(found.values()):
    for _, score, stuck in rows:
      axes.plot(score, place, "x" if stuck else "o", color="#cc3311" if stuck else "#4477aa", ms=6, mew=1.8)
  axes.set_yticks(range(len(found)), [f"{data}: {run}" for data, run in found], fontsize=7)
  axes.set_ylim(len(found) - 0.5, -0.5)
  axes.set_xlabel("normalised score of a seed; a cross: some agent's policy is stuck")
  axes.grid(alpha=0.25)
  axes.spines[["top", "right"]].set_visible(False)
  figure.savefig(path, dpi=130)


def main() -> None:
  """The binary."""
  launch.multiply_in("float32")
  facts = metric_curves.of_runs(FLAGS.run_dir, facts_of)
  words = (
    f"Newest checkpoint of each run, {saturation.ROWS:,} rows of its data. Stuck: a number of an agent's greedy "
    f"action has a standard deviation below {saturation.CONSTANT} over them and a mean beyond {saturation.CORNER}."
  )
  text = "\n".join([markdown(facts), words, ""])
  out = pathlib.Path(FLAGS.out)
  print(text + "\n" + metric_curves.write(out, "stuck_policies", text, facts, lambda p: draw(p, facts), "runs kept"))


if __name__ == "__main__":
  launch.binary(main, FLAGS)
