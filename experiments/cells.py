"""A cell of a table: one algorithm on one data set with one protocol, over some seeds; one small JSON file each.

A cell is made from finished run folders. Seeds may come from several runs, of different days and machines, as long as
they differ in nothing else; each run's device, versions and commit are kept.
"""

import dataclasses
import json
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments import cell_data, runs, settings
from marl_offline.evaluation import scores
from marl_offline.training import logs

SAME = ("algorithm", "task", "quality", "protocol", "set", "config", "team_reward", "dataset", "gradient_steps")
SAME += ("episodes_per_evaluation", "precision", "minibatches")
NEEDED = {
  **dict.fromkeys(("algorithm", "task", "quality", "settings_of", "protocol"), str),
  **{"set": list, "dataset": dict, "gradient_steps": int, "episodes_per_evaluation": int},
  "seeds": list,
  "final_returns": list,
  "steps": list,
  "curve": list,
  "metrics": dict,
  "runs": list,
  "config": dict,
}
DIGITS = 6  # significant ones, in what is kept of curves and metrics


@dataclasses.dataclass(frozen=True)
class Cell:
  """What is asked for."""

  algorithm: str
  task: str
  quality: str
  protocol: str = "paper"
  changes: tuple[str, ...] = ()  # as from --set
  dataset: str | None = None  # a folder, or one a seed, see cell_data; None: the newest of ours
  gradient_steps: int | None = None  # None, and so for the next two: the protocol's
  evaluations: int | None = None
  episodes: int | None = None

  @property
  def name(self) -> str:
    """Of its file and of its runs: says all that tells it from others."""
    parts = [self.task, pathlib.Path(self.dataset).name if self.dataset else self.quality, self.algorithm]
    parts += [] if self.protocol == "paper" else [self.protocol]
    parts += [change.replace("=", "_") for change in self.changes]
    parts += [f"{n}_{v}" for n in ("gradient_steps", "evaluations", "episodes") if (v := getattr(self, n)) is not None]
    return "-".join(parts)

  @property
  def paired(self) -> str | None:
    """The data set's name where each seed has one of its own."""
    return pathlib.Path(self.dataset).name if cell_data.each(self.dataset) else None

  def flags(self, first_seed: int, num_seeds: int) -> dict[str, Any]:
    """The flags of `train` that train these seeds of it; one at a time where each has a data set of its own."""
    own = {n: getattr(self, n) for n in ("algorithm", "task", "quality", "protocol", "gradient_steps", "evaluations")}
    own |= {"dataset": cell_data.folder(self.dataset, first_seed), "episodes": self.episodes}
    own["set"] = list(self.changes)
    return own | {"first_seed": first_seed, "num_seeds": num_seeds, "precision": "float32"}


def of_run(folder: pathlib.Path, paired: str | None = None) -> dict[str, Any]:
  """What a finished run gives to a cell. paired: see Cell.

  Raises:
    UserError: it is not finished, or damaged.
  """
  config = runs.read_config(folder)
  try:
    result = json.loads((folder / "result.json").read_text())
    returns, steps = logs.load_returns(folder)
    metrics = _metrics(folder / "metrics.jsonl", config["seeds"], steps.tolist())
  except FileNotFoundError as error:
    raise runs.UserError(f"{folder} is not finished: it has no {pathlib.Path(error.filename).name}") from error
  except (ValueError, KeyError) as error:
    raise runs.UserError(f"{folder} is damaged: {error}") from error
  if steps[-1] != config["run"]["gradient_steps"]:
    raise runs.UserError(f"{folder} is not finished: it stands at {steps[-1]} of {config['run']['gradient_steps']}")
  given, data = config["flags"], config["dataset"]
  return {
    **{name: given[name] for name in ("algorithm", "task", "protocol", "set")},
    "quality": data["quality"],
    "settings_of": given["quality"],
    "config": with_defaults(given["algorithm"], config["run"]["config"]),
    "team_reward": config["run"]["team_reward"],
    "source": config["run"]["source"],
    "dataset": cell_data.entry(data, paired, config["seeds"][0]),
    "gradient_steps": config["run"]["gradient_steps"],
    "episodes_per_evaluation": returns.shape[2],
    "online_episodes_for_selection": 0,
    "precision": given.get("precision", "float32"),  # of matrix products; older runs had no other
    **({"minibatches": config["run"]["minibatches"]} if "minibatches" in config["run"] else {}),
    **({"caveat": data["caveat"]} if data.get("caveat") else {}),
    "seeds": config["seeds"],
    "final_returns": _short(returns[:, -1].mean(axis=1)),  # [seed]
    "stuck_agents": result.get("stuck_agents") or [None] * len(config["seeds"]),  # of each seed; None: not asked
    "steps": steps.tolist(),
    "curve": _short(returns.mean(axis=2)),  # return [seed, evaluation]
    "metrics": metrics,  # name -> [seed, evaluation], means since the evaluation before
    "runs": [
      {
        "seeds": config["seeds"],
        **{name: config[name] for name in ("device", "commit", "versions")},
        **{name: result[name] for name in ("updates_per_second", "train_seconds", "eval_seconds")},
      }
    ],
  }


def with_defaults(algorithm: str, config: dict[str, Any]) -> dict[str, Any]:
  """A config as it would be told today: fields that came since have their defaults, which train as before.

  Raises:
    UserError: it has a field that is gone.
  """
  try:
    return dataclasses.asdict(settings.load(algorithm).Config(**config))
  except (TypeError, ValueError) as error:
    raise runs.UserError(f"a run of {algorithm} is of another version of this program: {error}") from error


def identity(part: dict[str, Any]) -> dict[str, Any]:
  """What seeds of one cell must have in common."""
  run = settings.PROTOCOLS[part["protocol"]](*(part[name] for name in ("algorithm", "task", "settings_of")))
  younger = {"precision": "float32", "minibatches": run.minibatches}  # than some cells' files
  same = {name: part.get(name, younger.get(name)) for name in SAME} | {"dataset": cell_data.identity(part["dataset"])}
  return same | {"config": settings.in_use(with_defaults(part["algorithm"], part["config"]))}


def require_current(part: dict[str, Any], run: settings.Run, where: pathlib.Path) -> None:
  """What was trained is what would be trained today.

  Raises:
    UserError: it is not; the sentence says what differs and what to do.
  """
  was = identity(part)
  now = json.loads(json.dumps(settings.in_use(dataclasses.asdict(run.config))))  # lists for tuples, as on disk
  found = {
    **json.loads(json.dumps(was["config"])),
    **{n: was[n] for n in ("team_reward", "gradient_steps", "episodes_per_evaluation", "minibatches", "precision")},
  }
  wanted = {**now, "team_reward": run.team_reward, "gradient_steps": run.gradient_steps}
  wanted |= {"episodes_per_evaluation": run.episodes, "minibatches": run.minibatches, "precision": "float32"}
  for name in wanted:
    if found[name] != wanted[name]:
      told = f"{name}={found[name]}, which is now {wanted[name]}"
      raise runs.UserError(f"{where} was trained with {told}; move it and its runs out of the way")


def join(one: dict[str, Any] | None, other: dict[str, Any]) -> dict[str, Any]:
  """The seeds of both in their order.

  Raises:
    UserError: they differ in more than seeds, or share one.
  """
  if one is None:
    return other
  what = f"{other['algorithm']} on {other['dataset']['name']}"
  one, other = ({**part, "config": with_defaults(part["algorithm"], part["config"])} for part in (one, other))
  first, second = identity(one), identity(other)
  for name in SAME:
    if first[name] != second[name]:
      raise runs.UserError(f"two parts of {what} differ in {name} and cannot be one cell; remove one of them")
  if twice := sorted(set(one["seeds"]) & set(other["seeds"])):
    raise runs.UserError(f"seed {twice[0]} of {what} is there twice")
  seeds = one["seeds"] + other["seeds"]
  order = sorted(range(len(seeds)), key=seeds.__getitem__)

  def together(first, second):
    both = first + second
    return [both[i] for i in order]

  steps = [step for step in one["steps"] if step in set(other["steps"])]  # evaluated in both
  cut = [{**part, "stuck_agents": stuck_agents(part), **_at(part, steps)} for part in (one, other)]
  return other | {
    **{name: together(cut[0][name], cut[1][name]) for name in ("seeds", "final_returns", "stuck_agents", "curve")},
    **{"steps": steps, "dataset": cell_data.joined(one["dataset"], other["dataset"])},
    "metrics": {n: together(cut[0]["metrics"][n], m) for n, m in cut[1]["metrics"].items() if n in cut[0]["metrics"]},
    "runs": one["runs"] + other["runs"],
  }


def _at(part: dict[str, Any], steps: list[int]) -> dict[str, Any]:
  """Curve and metrics of a cell at some of its evaluations."""
  at = [part["steps"].index(step) for step in steps]
  pick = lambda rows: [[row[i] for i in at] for row in rows]  # noqa: E731
  return {"curve": pick(part["curve"]), "metrics": {name: pick(rows) for name, rows in part["metrics"].items()}}


def load(path: pathlib.Path) -> dict[str, Any] | None:
  """A cell's file; None where there is none.

  Raises:
    UserError: it is damaged.
  """
  try:
    cell = json.loads(path.read_text())
    runs.check_kinds(cell, NEEDED, "it")
    return cell
  except FileNotFoundError:
    return None
  except ValueError as error:
    raise runs.UserError(f"{path} is damaged: {error}; remove it, and the cell is made again from its runs") from error


def load_all(folder: pathlib.Path) -> list[dict[str, Any]]:
  """Every cell of a table, in the order of file names.

  Raises:
    UserError: a file is damaged, or the folder has one of cells in it.
  """
  if (folder / "cells").is_dir():
    raise runs.UserError(f"{folder} is a table's folder; its cells are in {folder / 'cells'}")
  return [load(path) for path in sorted(folder.glob("*.json"))]


def save(path: pathlib.Path, cell: dict[str, Any]) -> None:
  """Writes a cell, one line a seed of each metric: small, and readable in a diff.

  Raises:
    UserError: the disk refuses; the file has its old content.
  """
  with runs.writing(path, "its runs are kept; the same command writes it again"):
    path.parent.mkdir(parents=True, exist_ok=True)
    logs.write_atomically(path, (_compact(cell) + "\n").encode())


def _compact(cell: dict[str, Any]) -> str:
  lines = []
  for name, value in cell.items():
    if name == "metrics":
      inner = ",\n".join(f"  {json.dumps(n)}: {json.dumps(rows)}" for n, rows in value.items())
      lines.append(f' "metrics": {{\n{inner}\n }}')
    else:
      lines.append(f" {json.dumps(name)}: {json.dumps(value)}")
  return "{\n" + ",\n".join(lines) + "\n}"


def missing(cell: dict[str, Any] | None, seeds: Sequence[int]) -> list[list[int]]:
  """Which of the seeds it lacks, in runs of consecutive ones."""
  blocks: list[list[int]] = []
  for seed in sorted(set(seeds) - set(cell["seeds"] if cell else ())):
    if blocks and blocks[-1][-1] == seed - 1:
      blocks[-1].append(seed)
    else:
      blocks.append([seed])
  return blocks


def last_half(cell: dict[str, Any]) -> np.ndarray:
  """Which evaluations lie in the second half of the algorithm's own updates: not while a model of the behavior is
  fitted before them. [evaluation] bool."""
  first = settings.behavior_updates(with_defaults(cell["algorithm"], cell["config"]))
  return np.asarray(cell["steps"]) > (first + cell["steps"][-1]) / 2


def score(cell: dict[str, Any]) -> np.ndarray:
  """Normalised scores of the final policies [seed]."""
  return scores.normalized(cell["task"], np.asarray(cell["final_returns"]))


def stuck_agents(cell: dict[str, Any]) -> list[list[int] | None]:
  """The agents of each seed whose policies are stuck, see evaluation/saturation.py; None where it was not asked."""
  return cell.get("stuck_agents") or [None] * len(cell["seeds"])


def _metrics(path: pathlib.Path, seeds: list[int], steps: list[int]) -> dict[str, list]:
  """metrics.jsonl as name -> [seed, evaluation]."""
  lines = {(line["seed"], line["step"]): line for line in map(json.loads, path.read_text().splitlines())}
  if lacking := [(seed, step) for seed in seeds for step in steps if (seed, step) not in lines]:
    raise ValueError(f"{path.name} lacks seed {lacking[0][0]} at step {lacking[0][1]}")
  names = [n for n in next(iter(lines.values())) if n not in ("step", "seed", "return", "score", "updates_per_second")]
  return {name: [_short([lines[seed, step][name] for step in steps]) for seed in seeds] for name in names}


def _short(values: Any) -> Any:
  """Numbers with DIGITS significant ones; None stays."""
  if isinstance(values, np.ndarray):
    values = values.tolist()
  if isinstance(values, list):
    return [_short(value) for value in values]
  return values if values is None else float(f"{values:.{DIGITS}g}")
