"""How long and with what settings each algorithm trains on each task and quality.

`paper` is what the papers and, where they are silent and learning depends on it, their released code say. The
protocols beside it change what their names say and nothing else.
"""

import ast
import dataclasses
import functools
import importlib
import math
from collections.abc import Callable
from typing import Any

from experiments import hyperparameters
from experiments.hyperparameters import CHEETAH, QUALITIES
from marl_offline.environments import mujoco_agents, mujoco_partition, particle_tasks
from marl_offline.environments.api import HostEnvironment, PureEnvironment
from marl_offline.evaluation import scores

PAPER_TASKS = {"spread": particle_tasks.spread, "tag": particle_tasks.tag, "world": particle_tasks.world}
# spread for 3 to 10 agents. spread_3 is spread itself, on the scale of scores that serves all of them.
MORE_AGENTS = {f"spread_{n}": functools.partial(particle_tasks.spread, n) for n in range(3, 11)}
# The papers' own variants. Only HalfCheetah 2x3 is in the tables whose settings these are; they serve the others too.
MUJOCO_TASKS = {name: functools.partial(mujoco_agents.make, name) for name in mujoco_partition.AGENTS}
TASKS = PAPER_TASKS | MORE_AGENTS | MUJOCO_TASKS
PRECISIONS = ("float32", "tensorfloat32", "bfloat16")  # as JAX names them
ALGORITHMS = tuple(hyperparameters.PAPER)
DISCRETE: tuple[str, ...] = ()  # those of them whose agents choose one of A actions; the others act in [-1, 1]
# Critic updates, five for one of actors and targets. The released loop counters give 2,001 and 5,001 of the latter;
# 5,001 has no useful divisor to log at, hence 5,000 for world; nor has 100,001, HalfCheetah's.
GRADIENT_STEPS = {"spread": 10_005, "tag": 10_005, "world": 25_000, CHEETAH: 500_000}
EVALUATE_EVERY = {"spread": 435, "tag": 435, "world": 1_250, CHEETAH: 2_500}
EPISODES = {"spread": 100, "tag": 100, "world": 100, CHEETAH: 10}  # in each evaluation
LOG_EVERY = {"spread": 145, "tag": 145, "world": 250, CHEETAH: 500}  # also how long a signal waits for its checkpoint

MINIBATCHES = {"spread": 10, "tag": 10, "world": 50}  # actor updates between two evaluations of CFCQL's released code
INDEPENDENT_MINIBATCHES = 10  # the same of OMAR's, for all tasks
# Updates of OMAR's released code, less the one that has no useful divisor; in the order of QUALITIES.
INDEPENDENT_STEPS = {
  "spread": (6_000, 2_000, 2_000, 2_000),
  "tag": (2_000, 1_000, 2_000, 2_000),
  "world": (1_000, 1_000, 1_000, 1_000),
  CHEETAH: (100_000, 100_000, 100_000, 100_000),
}


@dataclasses.dataclass(frozen=True)
class Run:
  """What `train` runs when no flag says otherwise."""

  config: Any
  gradient_steps: int  # those of with_behavior_updates come on top
  evaluations: int  # over the run, evenly spread; the last one is at the end
  episodes: int  # in each evaluation
  log_every: int  # gradient steps; a divisor of gradient_steps and a multiple of the actors' period
  team_reward: str  # mean or first_agent
  source: str
  minibatches: int | None = None  # how many different ones there are, again and again; None: always fresh ones


def load(algorithm: str):
  """The algorithm's module: one of ours, or anybody's by its dotted name, with a Config and a make like ours.

  Raises:
    ValueError: there is no such algorithm.
  """
  if "." in algorithm:
    module = _somebodys("algorithm", algorithm, ("Config", "make"))
    if not dataclasses.is_dataclass(module.Config) or not hasattr(module.Config, "batch_size"):
      raise ValueError(f"--algorithm {algorithm}: its Config is no dataclass with a batch_size and its default")
    return module
  _require("algorithm", algorithm, ALGORITHMS)
  return importlib.import_module(f"marl_offline.algorithms.{algorithm}")


def load_task(task: str) -> Callable[[], PureEnvironment | HostEnvironment]:
  """What makes the task's environment: of ours, or the make of anybody's module by its dotted name.

  Such a module has a REFERENCE too, the scores.Reference of its returns.

  Raises:
    ValueError: there is no such task.
  """
  if "." in task:
    module = _somebodys("task", task, ("make", "REFERENCE"))
    if not isinstance(module.REFERENCE, scores.Reference):
      raise ValueError(f"--task {task}: its REFERENCE is {module.REFERENCE!r}, no evaluation.scores.Reference")
    width = module.REFERENCE.expert - module.REFERENCE.random
    if not (math.isfinite(width) and width):
      raise ValueError(f"--task {task}: its REFERENCE, {module.REFERENCE}, is no scale: 0 and 100 must lie apart")
    return module.make
  _require("task", task, TASKS)
  return TASKS[task]


def _somebodys(flag: str, name: str, needed: tuple[str, ...]):
  """Anybody's module by its dotted name; it has what is needed."""
  if not all(map(str.isidentifier, name.split("."))):
    raise ValueError(f"--{flag} {name}: is no module's dotted name, such as my_package.my_module")
  try:
    module = importlib.import_module(name)
  except ImportError as error:
    raise ValueError(f"--{flag} {name}: cannot be imported: {error}") from error
  if lacking := [each for each in needed if not hasattr(module, each)]:
    raise ValueError(f"--{flag} {name}: has no {' and no '.join(lacking)}")
  return module


def paper(algorithm: str, task: str, quality: str) -> Run:
  """The papers' protocol on the particle tasks and HalfCheetah 2x3. Other robots share HalfCheetah's settings, tasks of
  somebody's own those of spread.

  Raises:
    ValueError: unknown algorithm, task or quality.
  """
  config = load(algorithm).Config()
  load_task(task)
  _require("quality", quality, QUALITIES)
  like = family(task)
  config = hyperparameters.sized(config, like)
  config, source = hyperparameters.PAPER.get(algorithm, hyperparameters.somebodys)(config, like, quality)
  if (task in MUJOCO_TASKS and like != task) or "." in task:
    source = f"{source}; no paper's for {task}: those of {like}"
  steps = GRADIENT_STEPS[like]
  return Run(config, steps, steps // EVALUATE_EVERY[like], EPISODES[like], LOG_EVERY[like], "mean", source)


def family(task: str) -> str:
  """The task of the papers whose settings serve this one: spread's serve any number of agents, HalfCheetah's robots."""
  return CHEETAH if task in MUJOCO_TASKS else "spread" if task in MORE_AGENTS or "." in task else task


def quick(algorithm: str, task: str, quality: str) -> Run:
  """A smaller batch and fewer updates, for two processor cores and a few minutes; no paper's numbers."""
  run = paper(algorithm, task, quality)
  config = dataclasses.replace(run.config, batch_size=256)
  if hasattr(config, "behavior_updates"):
    config = dataclasses.replace(config, behavior_updates=2_500)
  return dataclasses.replace(
    run,
    config=config,
    gradient_steps=5_000,
    evaluations=10,
    log_every=100,
    source=f"quick: shortened from {run.source}",
  )


def released_code(algorithm: str, task: str, quality: str) -> Run:
  """paper, with what an algorithm's released code does otherwise and may explain a published number.

  In CFCQL's, agent 0's reward trains the critic; others' are in hyperparameters.RELEASED. In all, each evaluation seeds
  the global generator anew from which minibatches are drawn, so the same ones come again after it; not on HalfCheetah,
  where gamma is another instead. The independent learners' code stops after fewer updates.
  """
  run = fixed_minibatches(algorithm, task, quality)
  if algorithm in (*hyperparameters.RELEASED, *hyperparameters.OF_RELEASED_CODE):
    run = dataclasses.replace(run, config=dataclasses.replace(run.config, gamma=hyperparameters.RELEASED_GAMMA))
  if algorithm in hyperparameters.RELEASED:
    config, source = hyperparameters.RELEASED[algorithm](run.config, family(task), quality)
    steps = INDEPENDENT_STEPS[family(task)][QUALITIES.index(quality)]
    log_every = min(steps // 20, 500)  # HalfCheetah's; a signal waits so long for its checkpoint
    return dataclasses.replace(
      run, config=config, source=source, gradient_steps=steps, evaluations=10, log_every=log_every
    )
  code = "the code released with arXiv:2309.12696"
  taken = [what for what, is_it in (
    ("reward", True), ("minibatches", run.minibatches), ("gamma", algorithm in hyperparameters.OF_RELEASED_CODE),
  ) if is_it]  # fmt: skip
  source = code if algorithm in hyperparameters.IN_RELEASED_CODE else f"{run.source}; {', '.join(taken)} as in {code}"
  return dataclasses.replace(run, team_reward="first_agent", source=source)


def fixed_minibatches(algorithm: str, task: str, quality: str) -> Run:
  """paper, with the few minibatches of the released code again and again and nothing else of it: on spread 50 critic
  updates', of which the actors see every fifth; 10 for the independent learners, whose code is another. HalfCheetah's
  evaluation seeds nothing: there they are always fresh."""
  run = paper(algorithm, task, quality)
  if task in MUJOCO_TASKS:
    return run
  if algorithm in hyperparameters.RELEASED:
    return dataclasses.replace(run, minibatches=INDEPENDENT_MINIBATCHES)
  period = getattr(run.config, "actor_period", 5)
  return dataclasses.replace(run, minibatches=MINIBATCHES[family(task)] * period)


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
  "fixed_minibatches": fixed_minibatches,
  "layer_norm": layer_norm,
  "data_norm": data_norm,
}


def behavior_updates(config: Any) -> int:
  """How many of a run's gradient steps fit a model of the behavior before its algorithm begins; 0 for nearly all.

  config: an algorithm's, or a dict of its fields as config.json keeps it.
  """
  fields = config if isinstance(config, dict) else dataclasses.asdict(config)
  return fields["behavior_updates"] if fields.get("agent_weights", "uniform") != "uniform" else 0


def in_use(config: dict[str, Any]) -> dict[str, Any]:
  """The fields of a config that decide how it trains: without those of a model of the behavior that is not asked."""
  of_model = ("behavior_updates", "behavior_hidden_size", "behavior_learning_rate", "density_samples", "temperature")
  unused = of_model if config.get("agent_weights") == "uniform" else ()
  return {name: value for name, value in config.items() if name not in unused}


def with_behavior_updates(run: Run) -> Run:
  """The Run, longer by those of its config: gradient_steps remain the algorithm's own, as often evaluated.

  Raises:
    ValueError: an evaluation does not fall on the end of them.
  """
  extra = behavior_updates(run.config)
  if extra < 1 or run.evaluations < 1 or run.gradient_steps % run.evaluations:
    return run  # nothing to add, or make and Plan refuse these with sentences of their own
  interval = run.gradient_steps // run.evaluations
  if extra % interval:
    raise ValueError(f"behavior_updates={extra} must be a multiple of {interval}, the gradient steps to an evaluation")
  steps, evaluations = run.gradient_steps + extra, run.evaluations + extra // interval
  return dataclasses.replace(run, gradient_steps=steps, evaluations=evaluations)


def override(config, assignments):
  """config with fields replaced. assignments: ["alpha=0.5", "batch_size=256"], as from a repeated --set flag.

  Raises:
    ValueError: not name=value, an unknown name (the known ones are listed) or one twice, or a value of the wrong type.
  """
  kinds = {field.name: type(getattr(config, field.name)) for field in dataclasses.fields(config)}
  changes = {}
  for item in assignments:
    name, equals, text = item.partition("=")
    if not equals:
      raise ValueError(f"--set {item}: expected name=value")
    if name not in kinds:
      raise ValueError(f"--set {item}: unknown name {name}; {type(config).__module__} has {', '.join(sorted(kinds))}")
    value = _parse(item, text, kinds[name])
    if name in changes and changes[name] != value:
      raise ValueError(f"--set {item}: {name} is set to {changes[name]} as well")
    changes[name] = value
  return dataclasses.replace(config, **changes)


def _parse(item: str, text: str, kind: type):
  """The text as a value of kind; integers count as floats, and nothing else crosses over.

  Fields of somebody's own of other kinds, a tuple or one that is None by default, take a Python literal.
  """
  if kind is bool:
    if text not in ("True", "False", "true", "false"):
      raise ValueError(f"--set {item}: expected True or False")
    return text in ("True", "true")
  try:
    value = kind(text) if kind in (int, float, str) else ast.literal_eval(text)
  except (ValueError, SyntaxError):
    needed = "a Python literal, such as 0.5 or 'relu'" if kind is type(None) else f"a value of type {kind.__name__}"
    raise ValueError(f"--set {item}: expected {needed}") from None
  if kind is not type(None) and not isinstance(value, kind):
    raise ValueError(f"--set {item}: expected a value of type {kind.__name__}")
  if isinstance(value, float) and not math.isfinite(value):
    raise ValueError(f"--set {item}: expected a finite number")
  return value


def _normalized(run: Run, normalization: str) -> Run:
  if not hasattr(run.config, "normalization"):
    return run  # behavior cloning has no critic
  return dataclasses.replace(run, config=dataclasses.replace(run.config, normalization=normalization))


def _require(flag: str, value: str, known) -> None:
  if value not in known:
    raise ValueError(f"--{flag} {value}: unknown; known are {', '.join(known)}")
