"""How long and with what settings each algorithm trains on each task and quality.

`paper` is what the papers and, where they are silent and learning depends on it, their released code say. The
protocols beside it change what their names say and nothing else.
"""

import dataclasses
import functools
import importlib
from typing import Any

from experiments import hyperparameters
from experiments.hyperparameters import QUALITIES
from marl_offline.environments import particle_tasks

PAPER_TASKS = {"spread": particle_tasks.spread, "tag": particle_tasks.tag, "world": particle_tasks.world}
# spread for 3 to 10 agents. spread_3 is spread itself, on the scale of scores that serves all of them.
MORE_AGENTS = {f"spread_{n}": functools.partial(particle_tasks.spread, n) for n in range(3, 11)}
TASKS = PAPER_TASKS | MORE_AGENTS
PRECISIONS = ("float32", "tensorfloat32", "bfloat16")  # as JAX names them
ALGORITHMS = tuple(hyperparameters.PAPER)
# Critic updates, five for one of actors and targets. The released loop counters give 2,001 and 5,001 of the latter;
# 5,001 has no useful divisor to log at, hence 5,000 for world.
GRADIENT_STEPS = {"spread": 10_005, "tag": 10_005, "world": 25_000}
EVALUATE_EVERY = {"spread": 435, "tag": 435, "world": 1_250}
LOG_EVERY = {"spread": 145, "tag": 145, "world": 250}  # also how long a signal waits for its checkpoint


@dataclasses.dataclass(frozen=True)
class Run:
  """What `train` runs when no flag says otherwise."""

  config: Any
  gradient_steps: int
  evaluations: int  # over the run, evenly spread; the last one is at the end
  episodes: int  # in each evaluation
  log_every: int  # gradient steps; a divisor of gradient_steps and a multiple of the actors' period
  team_reward: str  # mean or first_agent
  source: str


def load(algorithm: str):
  """The algorithm's module.

  Raises:
    ValueError: there is no such algorithm.
  """
  _require("algorithm", algorithm, ALGORITHMS)
  return importlib.import_module(f"marl_offline.algorithms.{algorithm}")


def paper(algorithm: str, task: str, quality: str) -> Run:
  """The papers' protocol on the particle tasks.

  Raises:
    ValueError: unknown algorithm, task or quality.
  """
  config = load(algorithm).Config()
  _require("task", task, TASKS)
  _require("quality", quality, QUALITIES)
  like = family(task)
  config, source = hyperparameters.PAPER[algorithm](config, like, quality)
  steps = GRADIENT_STEPS[like]
  return Run(config, steps, steps // EVALUATE_EVERY[like], 100, LOG_EVERY[like], "mean", source)


def family(task: str) -> str:
  """The task of the papers whose settings serve this one: spread's serve any number of agents."""
  return "spread" if task in MORE_AGENTS else task


def quick(algorithm: str, task: str, quality: str) -> Run:
  """A smaller batch and fewer updates, for two processor cores and a few minutes; no paper's numbers."""
  run = paper(algorithm, task, quality)
  config = dataclasses.replace(run.config, batch_size=256)
  return dataclasses.replace(
    run,
    config=config,
    gradient_steps=5_000,
    evaluations=10,
    log_every=100,
    source=f"quick: shortened from {run.source}",
  )


def released_code(algorithm: str, task: str, quality: str) -> Run:
  """paper, with the quirk of CFCQL's code that may explain a published number: agent 0's reward trains the critic."""
  run = paper(algorithm, task, quality)
  return dataclasses.replace(run, team_reward="first_agent", source="the code released with arXiv:2309.12696")


def layer_norm(algorithm: str, task: str, quality: str) -> Run:
  """paper, with critics that normalise their hidden layers instead of each batch's inputs."""
  return _normalized(paper(algorithm, task, quality), "layer")


def data_norm(algorithm: str, task: str, quality: str) -> Run:
  """paper, with critics whose inputs are standardised by the data set instead of by each batch."""
  return _normalized(paper(algorithm, task, quality), "data")


PROTOCOLS = {
  "quick": quick,
  "paper": paper,
  "released_code": released_code,
  "layer_norm": layer_norm,
  "data_norm": data_norm,
}


def override(config, assignments):
  """config with fields replaced. assignments: ["alpha=0.5", "batch_size=256"], as from a repeated --set flag.

  Raises:
    ValueError: not name=value, an unknown name (the known ones are listed), or a value of the wrong type.
  """
  kinds = {field.name: type(getattr(config, field.name)) for field in dataclasses.fields(config)}
  changes = {}
  for item in assignments:
    name, equals, text = item.partition("=")
    if not equals:
      raise ValueError(f"--set {item}: expected name=value")
    if name not in kinds:
      raise ValueError(f"--set {item}: unknown name {name}; {type(config).__module__} has {', '.join(sorted(kinds))}")
    changes[name] = _parse(item, text, kinds[name])
  return dataclasses.replace(config, **changes)


def _parse(item: str, text: str, kind: type):
  """The text as a value of kind; integers count as floats, and nothing else crosses over."""
  if kind is bool:
    if text not in ("True", "False", "true", "false"):
      raise ValueError(f"--set {item}: expected True or False")
    return text in ("True", "true")
  try:
    return kind(text)
  except ValueError:
    raise ValueError(f"--set {item}: expected a value of type {kind.__name__}") from None


def _normalized(run: Run, normalization: str) -> Run:
  if not hasattr(run.config, "normalization"):
    return run  # behavior cloning has no critic
  return dataclasses.replace(run, config=dataclasses.replace(run.config, normalization=normalization))


def _require(flag: str, value: str, known) -> None:
  if value not in known:
    raise ValueError(f"--{flag} {value}: unknown; known are {', '.join(known)}")
