"""Do the agents of a data set keep to roles? Which landmark each agent of `spread` ends an episode at.

  python -m experiments.roles_report --folder data/spread-expert-v1 --folder data/spread-expert-v2

The assignment of an episode gives every agent one landmark, with the smallest sum of distances at its last observation.
Agents with roles of their own end in the same assignment again and again; agents that take whichever landmark is free
end in all N! alike, and mostly in the one that was shortest at the start. A Q-function that sees one agent's action
replaced can know what the others will do only in the first case.

Writes roles_report.md, .json and .png. Exit status: 0 done; 2 input or disk.
"""

import math
import pathlib
from typing import Any

import numpy as np
from absl import flags

from experiments import launch, metric_curves, runs
from marl_offline.collection.roles import assignments, distances
from marl_offline.datasets import storage

FLAGS = flags.FlagValues()
flags.DEFINE_multi_string("folder", [], "a data set of spread; repeatable", flag_values=FLAGS)
flags.DEFINE_integer("episodes", 10_000, "of each, evenly spaced over it", lower_bound=1, flag_values=FLAGS)
flags.DEFINE_string("out", "runs/reports", "folder of the files", flag_values=FLAGS)
KEPT = "the data sets are untouched"
REACH = 0.15  # an agent's radius: a landmark with one no further off than this is covered
TASKS = ("spread", "spread_3", "spread_4", "spread_5")  # of more agents there are more assignments than episodes


def facts_of(episodes: storage.Episodes, card: dict[str, Any], most: int) -> dict[str, Any]:
  """A data set's entry of the JSON file."""
  ends = np.flatnonzero(episodes.terminated | episodes.truncated)
  starts = np.concatenate([[0], ends[:-1] + 1])
  chosen = np.unique(np.linspace(0, len(ends) - 1, most).astype(int))
  last = distances(episodes.final_obs[chosen])
  end, start = assignments(last), assignments(distances(episodes.obs[starts[chosen]]))
  counts = np.sort(np.unique(end, axis=0, return_counts=True)[1])[::-1]
  shares = counts / counts.sum()
  agents = end.shape[1]
  return {
    **{"dataset": card["name"], "sha256": card["sha256"], "mean_return": card["return"]["mean"]},
    "episodes": len(chosen),
    "shares": shares.round(4).tolist(),
    "entropy": abs(float((shares * np.log(shares)).sum())) / math.log(math.factorial(agents)),
    "as_at_start": float((end == start).all(axis=1).mean()),
    "covered": float((last.min(axis=1) <= REACH).mean()),
    "agents": agents,
  }


def markdown(facts: list[dict[str, Any]]) -> str:
  """A row for every data set."""
  lines = ["| data | return | most frequent assignment | entropy | the shortest at the start | landmarks covered |"]
  lines += ["|---" * 6 + "|"]
  for row in facts:
    chance = 1 / math.factorial(row["agents"])
    lines.append(
      f"| {row['dataset']} | {row['mean_return']:.1f} | {row['shares'][0]:.2f} (by chance {chance:.2f}) "
      f"| {row['entropy']:.2f} | {row['as_at_start']:.2f} | {row['covered']:.2f} |"
    )
  return "\n".join([*lines, ""])


def draw(path: pathlib.Path, facts: list[dict[str, Any]]) -> None:
  """A bar a data set, cut into the shares of its assignments, the most frequent first."""
  from matplotlib import colormaps
  from matplotlib.figure import Figure

  figure = Figure(figsize=(7.5, 1.2 + 0.45 * len(facts)), layout="constrained")
  axes = figure.subplots()
  for place, row in enumerate(facts):
    ends = np.cumsum(row["shares"])
    for number, (share, end) in enumerate(zip(row["shares"], ends, strict=True)):
      shade = colormaps["viridis"](0.9 * number / max(math.factorial(row["agents"]) - 1, 1))
      axes.barh(place, share, left=end - share, color=shade, edgecolor="white", lw=0.8)
  axes.set_yticks(range(len(facts)), [row["dataset"] for row in facts])
  axes.invert_yaxis()
  axes.set(xlim=(0, 1), xlabel="share of episodes that end in each assignment of agents to landmarks")
  axes.spines[["top", "right"]].set_visible(False)
  figure.savefig(path, dpi=130)


def main() -> None:
  """The binary."""
  if not FLAGS.folder:
    raise runs.UserError("--folder is needed: a data set of spread, such as data/spread-expert-v2")
  facts = []
  for folder in FLAGS.folder:
    episodes, card = storage.load(folder)
    if card["task"] not in TASKS:
      raise runs.UserError(f"{folder} is of {card['task']}; the tasks here are spread with up to five agents")
    facts.append(facts_of(episodes, card, FLAGS.episodes))
  text = markdown(facts)
  print(
    text
    + "\n"
    + metric_curves.write(pathlib.Path(FLAGS.out), "roles_report", text, facts, lambda p: draw(p, facts), KEPT)
  )


if __name__ == "__main__":
  launch.binary(main, FLAGS)
