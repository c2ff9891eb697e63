"""Trains an algorithm on a data set.

  python -m experiments.train --algorithm spacql --task spread --quality medium-replay --protocol quick

The data set is made first where there is none. Everything is checked before anything is written. Exit status: 0 done,
or stopped by SIGTERM or SIGINT after saving (go on with --resume); 1 a metric became non-finite; 2 input or disk.
"""

import contextlib
import dataclasses
import functools
import pathlib
import shutil
import sys
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments import launch, locks, processes, runs, settings, train_request, train_result, train_setup
from experiments.runs import UserError
from marl_offline.datasets import feeding, sampling
from marl_offline.evaluation import rollouts, scores
from marl_offline.training import checkpoints, chunk, devices, logs, memory, trainer


def main() -> None:
  """Checks, data, training, result."""
  request = train_request.read()
  team = processes.join(*train_request.team_flags())
  stopped = run(request, team)
  if stopped and (step := stopped.position.step) < request.plan.gradient_steps:
    print(f"stopped by {stopped.signal} and saved at {step} of {request.plan.gradient_steps} updates; go on with")
    print(f"  python -m experiments.train --run_dir {request.folder} --resume", flush=True)


class Stopped(NamedTuple):
  """A signal came, and the run is saved; at its last step its result is written too."""

  signal: str
  position: trainer.Position


def run(request: train_request.Request, team: processes.Team, bar=None) -> Stopped | None:
  """Makes what is missing, trains to the end and writes the result. -> None, or the signal that came meanwhile.

  Raises:
    UserError, DataError, CheckpointError, TooLarge, NonFinite: from what is called; the sentence says what is kept.
  """
  launch.multiply_in(request.given["precision"])
  own = dataclasses.replace(request, seeds=team.seeds(request.seeds), folder=team.folder(request.folder))
  environment = runs.environment_of(request.given["task"])
  train_setup.require_step(request.given["task"], environment)
  train_setup.make_learner(request, runs.plain_spec(environment))  # refuses what cannot train before data are made
  if team.index:
    team.wait("the data and the run's folder were made")
  layout = devices.layout(len(own.seeds), request.run.config)
  folder = train_setup.find_or_make_data(request)
  train_setup.require_actions(request.given["algorithm"], folder)
  data = runs.open_data(folder, environment, request.run.team_reward, layout.copies)
  train_setup.require_quality(request, data)
  learner = train_setup.make_learner(request, data.spec)
  config = train_setup.describe_run(request, data, environment) | {"processes": team.count}
  config["layout"] = layout.words(len(own.seeds))  # numbers differ by rounding with it
  if request.resume:
    processes.require_same(team, request.folder, runs.read_config(request.folder))
    train_setup.require_same_environment(request.folder, config)
    train_request.require_same_run(request.folder, config)
  elif not team.index:
    train_setup.begin(request.folder, config | {"command": sys.argv})
  if not team.index:
    team.wait("the data and the run's folder were made")
  elif not request.resume:
    processes.require_same_start(request.folder, config)
  team.wait("all were ready to train")
  own.folder.mkdir(exist_ok=True)
  try:
    with alone_in(own.folder):
      position, stopped = train(own, environment, data, learner, config, layout, bar)
  except memory.TooLarge:
    if not request.resume and not team.index:
      shutil.rmtree(request.folder)  # nothing was trained: the name is free for a smaller run
    raise
  if stopped and position.step < request.plan.gradient_steps:
    return Stopped(stopped, position)
  team.wait("all seeds were trained")
  if team.count > 1 and not team.index:
    position = joined(team, request, learner)
  if not team.index:
    train_result.finish(request, data, position, config, logs.read(request.folder, request.seeds))
  return Stopped(stopped, position) if stopped else None


@contextlib.contextmanager
def alone_in(folder: pathlib.Path):
  """Keeps a second process out of a run's folder.

  Raises:
    UserError: it is the second.
  """
  with locks.alone(folder / ".lock") as alone:
    if not alone:
      raise UserError(f"another process trains the run in {folder}; wait for its end, or take another --run_dir")
    yield


def joined(team: processes.Team, request: train_request.Request, learner) -> trainer.Position:
  """What all processes made becomes one run's. -> the position of the slowest.

  Raises:
    UserError: a part is damaged, or the disk refuses.
  """
  like = jax.eval_shape(learner.init, jax.random.key(0))
  with runs.writing(request.folder, "what each process made is kept; --resume with all of them joins it again"):
    try:
      meta = processes.join_parts(team, request.folder, like, request.seeds)
    except ValueError as error:
      raise UserError(str(error)) from error
  return trainer.Position(**meta["position"])


def train(
  request: train_request.Request, environment, data: runs.Data, learner, config: dict[str, Any], layout, bar=None
):
  """Trains, saves and logs the request's seeds in its folder. -> where it stands, the signal that stopped it or "".

  layout: a devices.Layout. bar: see trainer.fit.

  Raises:
    NonFinite: see trainer.fit.
    CheckpointError, UserError: nothing to resume from, or the disk; the sentence says what is kept.
  """
  folder, given, run = request.folder, request.given, request.run
  keeper = checkpoints.Checkpoints(folder / "checkpoints")
  log = logs.RunLog(folder, request.seeds)
  states, position = restore(request, learner, keeper) if request.resume else (None, None)
  cut_back(request, log, position.step if position else 0)
  facts = {
    "task": given["task"],
    "quality": data.card["quality"],
    "environment": config["environment"],
    "versions": config["versions"],
  }
  module = settings.load(given["algorithm"]).__name__
  meta = checkpoints.describe(given["algorithm"], run.config, data.spec, module, **facts)
  hooks = hooks_of(request, keeper, log, rollouts.evaluator(environment, learner, run.episodes), meta)
  batch_size = run.config.batch_size
  draw = functools.partial(sampling.draw, batch_size=batch_size)
  work = f"{run.gradient_steps} updates of {len(request.seeds)} seed{'s' if len(request.seeds) > 1 else ''}"
  place = f"{config['device']} ({layout.words(len(request.seeds))})"
  print(f"{given['algorithm']} on {data.card['name']}: {work} on {place}, into {folder}", flush=True)
  source = {"draw": draw, "dataset": data.dataset}
  if data.why_on_host:
    print(f"{data.why_on_host}; it stays on the host, and batches are fed ahead of the updates", flush=True)
    source = {"draw": None, "dataset": None, "feed": functools.partial(feeding.feed, data.dataset, batch_size)}
  _, position, stopped = trainer.fit(
    learner,
    seeds=request.seeds,
    plan=request.plan,
    hooks=hooks,
    states=states,
    position=position,
    layout=layout,
    bar=bar,
    # the model of the behavior is a program of its own in the released code, and sees fresh ones
    minibatches=run.minibatches and chunk.Repeated(run.minibatches, settings.behavior_updates(run.config)),
    **source,
  )
  return position, stopped


def hooks_of(request: train_request.Request, keeper, log: logs.RunLog, evaluate, meta: dict[str, Any]) -> trainer.Hooks:
  """What training asks of the disk. keeper: the run's Checkpoints; meta: what each says beside where the run stands."""

  def write_log(position: trainer.Position, returns: np.ndarray) -> str:
    score = scores.normalized(request.given["task"], np.mean(returns, axis=1))
    rate = position.updates_per_second()
    kept = f"the checkpoint of step {keeper.steps()[-1]} is kept" if keeper.steps() else "no checkpoint is older"
    with runs.writing(None, f"{kept}; make room and go on with --resume"):
      log.append(position.step, position.metrics(), returns, score, updates_per_second=rate)
    return f"score {np.mean(score):.1f}"

  def save(states, position):
    keeper.save(position.step, states, request.seeds, meta | {"position": dataclasses.asdict(position)})

  def set_aside(states, position):
    failed = checkpoints.Checkpoints(request.folder / "failed", keep=1)
    good = f"the last good checkpoint is of step {keeper.steps()[-1]}" if keeper.steps() else "no checkpoint is older"
    try:
      failed.save(position.step, states, request.seeds, meta | {"position": None})
    except checkpoints.NotSaved as error:  # what failed first is what matters
      return f"its state could not be kept ({error}); {good}"
    return f"its state is in {failed.folder}; {good}"

  return trainer.Hooks(evaluate, write_log, save, set_aside)


def restore(request: train_request.Request, learner, keeper: checkpoints.Checkpoints):
  """States on the device and the position of the newest checkpoint; (None, None) for a run killed before its first.

  Raises:
    CheckpointError, UserError: it is damaged, or another program's.
  """
  if not keeper.steps():
    if (result := request.folder / "result.json").exists():
      raise UserError(f"--resume: {result} says that the run is done, but its checkpoints are gone; begin another run")
    return None, None
  *older, newest = keeper.steps()
  try:
    algorithm = keeper.meta()["algorithm"]
    if algorithm != request.given["algorithm"]:
      raise UserError(f"--resume: {keeper.folder} is of {algorithm}, not of {request.given['algorithm']}")
    states, meta = keeper.restore(jax.eval_shape(learner.init, jax.random.key(0)), request.seeds)
  except checkpoints.CheckpointError as error:
    if not older:
      raise
    advice = f"remove {keeper.folder / str(newest)} to go on from step {older[-1]}"
    raise checkpoints.CheckpointError(f"{error}; {advice}") from error
  try:
    position = trainer.Position(**meta["position"])
  except (KeyError, TypeError) as error:
    raise UserError(f"--resume: {keeper.folder} does not say where its run stands; begin another run") from error
  return jax.device_put(states), position


def cut_back(request: train_request.Request, log: logs.RunLog, step: int) -> None:
  """The logs as they were at a step.

  Raises:
    UserError: returns.npz is damaged or lacks an evaluation, or the disk refuses.
  """
  with runs.writing(None, f"the checkpoints in {request.folder} are kept"):
    try:
      log.cut_back(step)
    except ValueError as error:
      raise UserError(f"--resume: {error}; begin another run") from error
  if len(log.steps) != (expected := step // request.plan.interval):
    path = request.folder / "returns.npz"
    raise UserError(f"--resume: {path} holds {len(log.steps)} of {expected} evaluations; begin another run")


if __name__ == "__main__":
  launch.binary(main, train_request.FLAGS)
