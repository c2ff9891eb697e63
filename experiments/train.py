"""Trains an algorithm on a data set.

  python -m experiments.train --algorithm spacql --task spread --quality medium-replay --protocol quick

The data set is made first where there is none. Everything is checked before anything is written. Exit status: 0 done,
or stopped by SIGTERM or SIGINT after saving (go on with --resume); 1 a metric became non-finite; 2 input or disk.
"""

import dataclasses
import functools
import importlib
import pathlib
import shutil
import sys
import uuid
from typing import Any

import jax
import numpy as np

from experiments import runs, settings, train_request
from experiments.runs import UserError
from marl_offline.datasets import feeding, sampling
from marl_offline.datasets.storage import DataError
from marl_offline.environments.api import observation_hash
from marl_offline.evaluation import curves, rollouts, scores
from marl_offline.evaluation.statistics import Named
from marl_offline.training import checkpoints, devices, logs, trainer
from marl_offline.types import Spec


def main() -> None:
  """Checks, data, training, result."""
  request = train_request.read()
  environment = runs.environment_of(request.given["task"])
  make_learner(request, runs.plain_spec(environment))  # refuses what cannot train before data are made
  data = runs.open_data(find_or_make_data(request), environment, request.run.team_reward)
  require_quality(request, data)
  learner = make_learner(request, data.spec)
  config = describe_run(request, data)
  if request.resume:
    train_request.require_same_run(request.folder, config)
  else:
    begin(request.folder, config | {"command": sys.argv})
  train(request, environment, data, learner, config)


def find_or_make_data(request: train_request.Request) -> pathlib.Path:
  """The data set's folder; ours is made where it is missing.

  Raises:
    UserError: --dataset is none.
    DataError, UserError: as experiments.collect.make.
  """
  task, quality = request.given["task"], request.given["quality"]
  if request.given["dataset"]:
    folder = pathlib.Path(request.given["dataset"])
    if not (folder / "card.json").is_file():
      raise UserError(f"--dataset={folder} is not a data set: it has no card.json")
    return folder
  if request.began_with and request.began_with.is_dir():
    return request.began_with  # though a newer version may have come since
  if folder := runs.data_folder(request.data_dir, task, quality):
    return folder
  from experiments import collect  # the collectors are imported only when they are needed

  print(f"no {quality} data of {task} in {request.data_dir}; making it", flush=True)
  try:
    return pathlib.Path(collect.make(task, quality, request.data_dir))
  except (DataError, UserError):
    if folder := runs.data_folder(request.data_dir, task, quality):  # another run made it meanwhile
      return folder
    raise


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
  module = importlib.import_module(f"marl_offline.algorithms.{request.given['algorithm']}")
  try:
    return module.make(spec, request.run.config)
  except ValueError as error:
    raise UserError(str(error)) from error


def describe_run(request: train_request.Request, data: runs.Data) -> dict[str, Any]:
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
    | {"folder": str(data.folder), "mean_return": data.mean_return},
    "versions": runs.versions(),
    "commit": runs.commit(),
    "device": runs.device(),
  }


# ---- training ------------------------------------------------------------------------------------------------------


def train(request: train_request.Request, environment, data: runs.Data, learner, config: dict[str, Any]) -> None:
  """Trains, saves and logs; ends with result.json, the table and the picture, or with how to resume.

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
    "environment": {
      "name": environment.name,
      "version": environment.version,
      "observation_hash": observation_hash(environment),
    },
    "versions": config["versions"],
  }
  meta = checkpoints.describe(given["algorithm"], run.config, data.spec, **facts)

  def write_log(position: trainer.Position, returns: np.ndarray) -> str:
    score = scores.normalized(given["task"], np.mean(returns, axis=1))
    rate = position.updates_per_second()
    kept = f"the checkpoint of step {keeper.steps()[-1]} is kept" if keeper.steps() else "no checkpoint is older"
    with runs.writing(None, f"{kept}; make room and go on with --resume"):
      log.append(position.step, position.metrics(), returns, score, updates_per_second=rate)
    return f"score {np.mean(score):.1f}"

  def save(states, position):
    keeper.save(position.step, states, request.seeds, meta | {"position": dataclasses.asdict(position)})

  def set_aside(states, position):
    failed = checkpoints.Checkpoints(folder / "failed", keep=1)
    failed.save(position.step, states, request.seeds, meta | {"position": None})
    good = f"the last good checkpoint is of step {keeper.steps()[-1]}" if keeper.steps() else "no checkpoint is older"
    return f"its state is in {failed.folder}; {good}"

  hooks = trainer.Hooks(rollouts.evaluator(environment, learner, run.episodes), write_log, save, set_aside)
  batch_size = run.config.batch_size
  draw = functools.partial(sampling.draw, batch_size=batch_size)
  layout = devices.layout(len(request.seeds), batch_size)
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
    **source,
  )
  if stopped:
    print(f"stopped by {stopped} and saved at {position.step} of {request.plan.gradient_steps} updates; go on with")
    print(f"  python -m experiments.train --run_dir {folder} --resume", flush=True)
    return
  finish(request, data, position, config, log)


def restore(request: train_request.Request, learner, keeper: checkpoints.Checkpoints):
  """States on the device and the position of the newest checkpoint; (None, None) for a run killed before its first.

  Raises:
    CheckpointError, UserError: it is damaged, or another program's.
  """
  if not keeper.steps():
    return None, None
  algorithm = keeper.meta()["algorithm"]
  if algorithm != request.given["algorithm"]:
    raise UserError(f"--resume: {keeper.folder} is of {algorithm}, not of {request.given['algorithm']}")
  states, meta = keeper.restore(jax.eval_shape(learner.init, jax.random.key(0)), request.seeds)
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


def finish(
  request: train_request.Request, data: runs.Data, position: trainer.Position, config: dict[str, Any], log
) -> None:
  """result.json, the table and the picture.

  Raises:
    UserError: the disk refuses; the sentence says what is kept.
  """
  given, run = request.given, request.run
  returns = Named(np.stack(log.returns, axis=1), logs.AXES)
  by_evaluation = np.mean(returns.values, axis=2)  # [seed, evaluation]
  best = np.argmax(by_evaluation, axis=1)
  best_raw = np.take_along_axis(by_evaluation, best[:, None], axis=1)[:, 0]
  result = {
    "algorithm": given["algorithm"],
    "task": given["task"],
    "quality": data.card["quality"],
    "settings_of": given["quality"],  # whose hyperparameters; another name for data of a quality of its own
    "protocol": given["protocol"],
    "dataset": data.card["name"],
    "origin": data.card["origin"],
    "seeds": request.seeds,
    **runs.summary(given["task"], by_evaluation[:, -1]),
    "best_over_training": {
      "note": "chosen by these very evaluations, so too good; the score of the run is the final one above",
      "raw_return": best_raw,
      "normalized_score": scores.normalized(given["task"], best_raw),
      "gradient_steps": np.asarray(log.steps)[best],
    },
    "online_episodes_for_selection": 0,
    "dataset_mean_return": data.mean_return,
    "gradient_steps": run.gradient_steps,
    "updates_per_second": position.updates_per_second(),
    "train_seconds": position.train_seconds,
    "eval_seconds": position.eval_seconds,
    "episodes_per_evaluation": run.episodes,
    "device": config["device"],
    "versions": config["versions"],
    "commit": config["commit"],
  }
  with runs.writing(request.folder / "result.json", "checkpoints and logs are kept; --resume writes it again"):
    logs.write_json(request.folder / "result.json", result)
  print(runs.table(result))
  rate, seconds = result["updates_per_second"], (result["train_seconds"], result["eval_seconds"])
  print(f"trained in {seconds[0]:.0f} s ({rate:.0f} updates/s once compiled), evaluated in {seconds[1]:.0f} s")
  picture = request.folder / "learning_curve.png"
  with runs.writing(picture, "result.json is written; experiments.evaluate draws the picture again"):
    curves.draw(
      picture,
      returns,
      np.asarray(log.steps),
      request.seeds,
      title=f"{given['algorithm']} on {data.card['name']} ({data.card['origin']})",
      dataset_mean=data.mean_return,
      scale=runs.scale(given["task"]),
    )
  print(f"learning curve: {picture}")


if __name__ == "__main__":
  runs.start(main, train_request.FLAGS)
