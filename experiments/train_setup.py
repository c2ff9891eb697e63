"""What `train` prepares before it trains: data, learner, the run's folder."""

import dataclasses
import functools
import pathlib
import shutil
import uuid
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments import provenance, runs, settings, train_request
from experiments.recipes import Recipe
from experiments.runs import UserError
from marl_offline.datasets import storage
from marl_offline.environments.api import HostEnvironment, PureEnvironment, observation_hash
from marl_offline.evaluation import host_rollouts, rollouts, scores
from marl_offline.training import logs
from marl_offline.types import Spec


def require_step(task: str, environment: PureEnvironment | HostEnvironment) -> None:
  """An environment of somebody's own gives what it says, tried before anything is trained; ours are tested.

  Raises:
    UserError: other shapes.
  """
  if "." not in task:
    return
  agents, wanted = environment.num_agents, (environment.num_agents, environment.obs_size)
  try:
    if isinstance(environment, HostEnvironment):
      world = environment.reset(np.random.default_rng(0), 2)
      if (shape := np.shape(environment.observe(world))) != (2, *wanted):
        raise ValueError(f"{environment.name} observes {shape} of two worlds, where its sizes say {(2, *wanted)}")
      _, *told = environment.step(world, np.zeros((2, agents, environment.action_size)))
      host_rollouts.checked(environment, 2, *told)
    else:
      still = jnp.zeros((agents, environment.action_size))
      play = functools.partial(rollouts.episode_return, environment, lambda *given: (still, ()), ())
      jax.eval_shape(play, jax.random.key(0))
  except ValueError as error:
    raise UserError(f"--task={task}: {error}") from error


def find_or_make_data(request: train_request.Request) -> pathlib.Path:
  """The data set's folder; ours is made where it is missing.

  Raises:
    UserError: --dataset is none.
    DataError, UserError: as experiments.collect.make.
  """
  task, quality = request.given["task"], request.given["quality"]
  if request.given["dataset"]:
    folder = pathlib.Path(request.given["dataset"])
    runs.require_data_set("dataset", folder)
    return folder
  if request.began_with and request.began_with.is_dir():
    return request.began_with  # though a newer version may have come since
  if folder := runs.data_folder(request.data_dir, task, quality):
    *older, newest = (Recipe(task, quality, version=each).folder("").name for each in Recipe(task, quality).versions)
    if folder.name in older:
      print(f"training on {folder}; experiments.collect makes {newest} now", flush=True)
    return folder
  from experiments import collect  # the collectors are imported only when they are needed

  print(f"no {quality} data of {task} in {request.data_dir}; making it", flush=True)
  return collect.make_if_missing(Recipe(task, quality), request.data_dir)


def require_actions(algorithm: str, folder: pathlib.Path) -> None:
  """The data set's actions are of the kind that the algorithm's agents take.

  Raises:
    UserError: they are not.
    DataError: it cannot be read.
  """
  discrete = storage.load(folder, verify=False)[0].legal is not None
  if discrete != (algorithm in settings.DISCRETE):
    found, needed = ("discrete", "continuous") if discrete else ("continuous", "discrete")
    known = [name for name in settings.ALGORITHMS if (name in settings.DISCRETE) == discrete]
    raise UserError(
      f"{folder} has {found} actions, and --algorithm={algorithm} is for {needed} ones; for {found} ones there "
      + (f"are {', '.join(known)}" if known else "is none here yet")
    )


def require_quality(request: train_request.Request, data: runs.Data) -> None:
  """The settings are those of the data's quality, unless it has a name of its own, which has no settings.

  Raises:
    UserError: they are another quality's.
  """
  quality, card = request.given["quality"], data.card
  if card["quality"] != quality and card["quality"] in settings.QUALITIES:
    raise UserError(
      f"{data.folder} is of quality {card['quality']}, but --quality={quality} would train with the settings of "
      f"{quality}; give --quality={card['quality']}"
    )


def begin(folder: pathlib.Path, config: dict[str, Any]) -> None:
  """A run folder with its config.json, made beside its place and renamed: there is none without.

  Raises:
    UserError: it cannot be written; nothing is left.
  """
  new = folder.with_name(f".{folder.name}.new-{uuid.uuid4().hex[:8]}")
  with runs.writing(folder / "config.json", "nothing of the run was kept"):
    try:
      new.mkdir(parents=True)
      logs.write_json(new / "config.json", config)
      new.rename(folder)
    finally:
      shutil.rmtree(new, ignore_errors=True)


def make_learner(request: train_request.Request, spec: Spec):
  """The algorithm's learner.

  Raises:
    UserError: its make refuses the config.
  """
  try:
    return settings.load(request.given["algorithm"]).make(spec, request.run.config)
  except ValueError as error:
    raise UserError(str(error)) from error


def require_same_environment(folder: pathlib.Path, config: dict[str, Any]) -> None:
  """A resumed run goes on in the environment, and on the scale of scores, that it was begun with.

  Runs older than this entry are known by their data's card alone.

  Raises:
    UserError: it would not.
  """
  stored, now = runs.read_config(folder).get("environment"), config["environment"]
  if stored is not None and stored != now:
    name = next(name for name in now if stored.get(name) != now[name])
    raise UserError(
      f"--resume: {folder} was begun in {now['name']} with {name} {stored.get(name)}, which is now {now[name]}; begin "
      "another run"
    )


def describe_run(request: train_request.Request, data: runs.Data, environment) -> dict[str, Any]:
  """config.json: every flag, every config value, what the data was, and what it ran on."""
  run = dataclasses.asdict(request.run)
  card = data.card
  return {
    "flags": request.given,
    "data_dir": request.data_dir,
    "run_dir": str(request.folder),
    "seeds": request.seeds,
    "run": run,
    "dataset": {name: card[name] for name in ("name", "task", "quality", "version", "origin", "sha256")}
    | {"folder": str(data.folder), "mean_return": data.mean_return}
    | {name: card[name] for name in ("caveat",) if name in card},
    "environment": {
      "name": environment.name,
      "version": environment.version,
      "observation_hash": observation_hash(environment),
      "reference": list(scores.reference(request.given["task"])[:2]),
    },
    "versions": provenance.versions(),
    "commit": provenance.commit(),
    "device": provenance.device(),
  }
