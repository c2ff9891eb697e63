"""Trains an algorithm on a data set.

  python -m experiments.train --algorithm spacql --task spread --quality medium-replay --protocol quick

The data set is made first where there is none. Everything is checked before anything is written. Exit status: 0 done,
or stopped by SIGTERM or SIGINT after saving (go on with --resume); 1 a metric became non-finite; 2 input or disk.
"""

import dataclasses
import functools
import importlib
import json
import pathlib
import sys
from typing import Any

import jax
import numpy as np
from absl import flags

from experiments import runs, settings
from experiments.runs import UserError
from marl_offline.datasets import sampling
from marl_offline.environments.api import observation_hash
from marl_offline.evaluation import curves, rollouts, scores
from marl_offline.evaluation.statistics import Named
from marl_offline.training import checkpoints, logs, trainer

FLAGS = flags.FlagValues()  # its own: the collector that makes missing data has some of the same names
flags.DEFINE_string("algorithm", "spacql", f"one of {', '.join(settings.ALGORITHMS)}", flag_values=FLAGS)
flags.DEFINE_string("task", "spread", f"one of {', '.join(settings.TASKS)}", flag_values=FLAGS)
flags.DEFINE_string(
  "quality", "medium-replay", f"of the data set: one of {', '.join(settings.QUALITIES)}", flag_values=FLAGS
)
flags.DEFINE_string(
  "protocol", "quick", f"how long and with what settings: one of {', '.join(settings.PROTOCOLS)}", flag_values=FLAGS
)
flags.DEFINE_integer("num_seeds", 1, "seeds trained at once in one program", lower_bound=1, flag_values=FLAGS)
flags.DEFINE_integer("first_seed", 0, "the seeds are first_seed, first_seed + 1, ...", lower_bound=0, flag_values=FLAGS)
flags.DEFINE_multi_string("set", [], "a field of the algorithm's Config, as alpha=0.5; repeatable", flag_values=FLAGS)
flags.DEFINE_integer("gradient_steps", None, "instead of the protocol's", lower_bound=1, flag_values=FLAGS)
flags.DEFINE_integer("evaluations", None, "instead of the protocol's", lower_bound=1, flag_values=FLAGS)
flags.DEFINE_integer("episodes", None, "an evaluation, instead of the protocol's", lower_bound=1, flag_values=FLAGS)
flags.DEFINE_string(
  "dataset", None, "folder of your own data set; by default the newest of ours in --data_dir", flag_values=FLAGS
)
flags.DEFINE_string("data_dir", "data", "where data sets lie and are made", flag_values=FLAGS)
flags.DEFINE_string(
  "run_dir", None, "where the run goes (default runs/<algorithm>-<task>-<quality>-<protocol>)", flag_values=FLAGS
)
flags.DEFINE_boolean(
  "resume", False, "go on from the newest checkpoint of --run_dir; other flags may be left out", flag_values=FLAGS
)
# What a run is: a resumed run takes these from its config.json, and one that is given anew must agree.
IDENTITY = (
  "algorithm",
  "task",
  "quality",
  "protocol",
  "num_seeds",
  "first_seed",
  "set",
  "gradient_steps",
  "evaluations",
  "episodes",
  "dataset",
)


@dataclasses.dataclass(frozen=True)
class Request:
  """What was asked for, all names checked; nothing of it is written yet."""

  given: dict[str, Any]  # the flags of IDENTITY
  run: settings.Run
  plan: trainer.Plan
  seeds: list[int]
  folder: pathlib.Path
  data_dir: str
  resume: bool


def main() -> None:
  """Checks, data, training, result."""
  request = read_request()
  environment = runs.environment_of(request.given["task"])
  require_run_folder(request)
  data = runs.open_data(find_or_make_data(request), environment, request.run.team_reward)
  learner = make_learner(request, data)
  config = describe_run(request, data)
  if request.resume:
    require_same_run(request.folder, config)
  else:
    request.folder.mkdir(parents=True)
    logs.write_json(request.folder / "config.json", config | {"command": sys.argv})
  train(request, environment, data, learner, config)


# ---- before anything is written ------------------------------------------------------------------------------------


def read_request() -> Request:
  """The flags, checked.

  Raises:
    UserError: an unknown name, a wrong type, a --resume without its run or with other flags.
  """
  given = {name: getattr(FLAGS, name) for name in IDENTITY}
  if FLAGS.resume and FLAGS.run_dir:
    given = flags_of_run(pathlib.Path(FLAGS.run_dir))
  runs.choose("algorithm", given["algorithm"], settings.ALGORITHMS)
  runs.choose("task", given["task"], settings.TASKS)
  runs.choose("quality", given["quality"], settings.QUALITIES)
  runs.choose("protocol", given["protocol"], settings.PROTOCOLS)
  try:
    run = settings.PROTOCOLS[given["protocol"]](given["algorithm"], given["task"], given["quality"])
    run = dataclasses.replace(run, config=settings.override(run.config, given["set"]))
    changed = {name: given[name] for name in ("gradient_steps", "evaluations", "episodes") if given[name] is not None}
    run = dataclasses.replace(run, **changed)
    plan = trainer.Plan(run.gradient_steps, run.evaluations, run.log_every)
  except ValueError as error:
    raise UserError(str(error)) from error
  default = pathlib.Path("runs", "-".join(given[name] for name in ("algorithm", "task", "quality", "protocol")))
  folder = pathlib.Path(FLAGS.run_dir) if FLAGS.run_dir else default
  if FLAGS.resume and not FLAGS.run_dir:
    given = flags_of_run(folder)
  seeds = [given["first_seed"] + i for i in range(given["num_seeds"])]
  return Request(given, run, plan, seeds, folder, FLAGS.data_dir, FLAGS.resume)


def flags_of_run(folder: pathlib.Path) -> dict[str, Any]:
  """The flags of a run that exists; those given now must agree."""
  stored = read_config(folder)["flags"]
  for name in IDENTITY:
    now = getattr(FLAGS, name)
    if FLAGS[name].present and now != stored[name]:
      raise UserError(
        f"--resume: {folder} was made with --{name}={stored[name]}, not {now}; leave the flag out to go on with that "
        "run, or begin another with another --run_dir"
      )
  return stored


def read_config(folder: pathlib.Path) -> dict[str, Any]:
  """config.json of a run folder."""
  try:
    config = json.loads((folder / "config.json").read_text())
    if missing := {"flags", "run", "dataset"} - set(config):
      raise ValueError(f"it lacks {', '.join(sorted(missing))}")
    return config
  except FileNotFoundError as error:
    raise UserError(f"--run_dir={folder} is not a run folder: it has no config.json") from error
  except (ValueError, TypeError) as error:
    raise UserError(f"{folder / 'config.json'} is damaged: {error}") from error


def require_run_folder(request: Request) -> None:
  """A new run needs a new folder."""
  if request.folder.exists() and not request.resume:
    raise UserError(
      f"--run_dir={request.folder} exists; go on with that run by --resume, or name another folder with --run_dir"
    )


def find_or_make_data(request: Request) -> pathlib.Path:
  """The data set's folder; ours is made where it is missing."""
  task, quality = request.given["task"], request.given["quality"]
  if request.given["dataset"]:
    folder = pathlib.Path(request.given["dataset"])
    if not (folder / "card.json").is_file():
      raise UserError(f"--dataset={folder} is not a data set: it has no card.json")
    return folder
  folder = runs.data_folder(request.data_dir, task, quality)
  if folder is None:
    from experiments import collect  # the collectors are imported only when they are needed

    print(f"no {quality} data of {task} in {request.data_dir}; making it", flush=True)
    folder = pathlib.Path(collect.make(task, quality, request.data_dir))
  return folder


def make_learner(request: Request, data: runs.Data):
  """The algorithm's learner; what its make refuses is the user's error."""
  module = importlib.import_module(f"marl_offline.algorithms.{request.given['algorithm']}")
  try:
    return module.make(data.spec, request.run.config)
  except ValueError as error:
    raise UserError(str(error)) from error


def describe_run(request: Request, data: runs.Data) -> dict[str, Any]:
  """config.json: every flag, every config value, what the data was, and what it ran on."""
  run = dataclasses.asdict(request.run)
  card = data.card
  return {
    "flags": request.given,
    "seeds": request.seeds,
    "run": run,
    "dataset": {name: card[name] for name in ("name", "task", "quality", "version", "origin", "sha256")}
    | {"folder": str(data.folder), "mean_return": data.mean_return},
    "versions": runs.versions(),
    "commit": runs.commit(),
    "device": runs.device(),
  }


def require_same_run(folder: pathlib.Path, config: dict[str, Any]) -> None:
  """What a resumed run would train with is what it was begun with: settings and data may have changed since."""
  stored, now = read_config(folder), json.loads(json.dumps(config))
  for part, name in (("run", "config"), *(("run", name) for name in now["run"] if name != "config")):
    if stored["run"].get(name) != now[part][name]:
      was, wants = stored["run"].get(name), now[part][name]
      raise UserError(f"--resume: {folder} was begun with {name} {was}, which is now {wants}; begin another run")
  if stored["dataset"]["sha256"] != now["dataset"]["sha256"]:
    began, here = stored["dataset"]["name"], now["dataset"]["folder"]
    raise UserError(f"--resume: {folder} was begun on a data set {began} with other content than {here} has")


# ---- training ------------------------------------------------------------------------------------------------------


def train(request: Request, environment, data: runs.Data, learner, config: dict[str, Any]) -> None:
  """Trains, saves and logs; ends with result.json, the table and the picture, or with how to resume."""
  folder, given, run = request.folder, request.given, request.run
  keeper = checkpoints.Checkpoints(folder / "checkpoints")
  log = logs.RunLog(folder, request.seeds)
  states, position = restore(request, learner, keeper) if request.resume else (None, None)
  log.cut_back(position.step if position else 0)
  facts = {
    "task": given["task"],
    "quality": given["quality"],
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
    log.append(position.step, position.metrics(), returns, score, updates_per_second=rate)
    return f"score {np.mean(score):.1f}"

  def save(states, position):
    keeper.save(position.step, states, request.seeds, meta | {"position": dataclasses.asdict(position)})

  def set_aside(states, position):
    failed = checkpoints.Checkpoints(folder / "failed", keep=1)
    failed.save(position.step, states, request.seeds, meta | {"position": None})

  hooks = trainer.Hooks(rollouts.evaluator(environment, learner, run.episodes), write_log, save, set_aside)
  draw = functools.partial(sampling.draw, batch_size=run.config.batch_size)
  _, position, stopped = trainer.fit(
    learner, draw, data.dataset, request.seeds, request.plan, hooks, states=states, position=position
  )
  if stopped:
    print(f"stopped by {stopped} and saved at {position.step} of {request.plan.gradient_steps} updates; go on with")
    print(f"  python -m experiments.train --run_dir {folder} --resume --data_dir {request.data_dir}", flush=True)
    return
  finish(request, data, position, config, log)


def restore(request: Request, learner, keeper: checkpoints.Checkpoints):
  """States on the device and the position of the newest checkpoint; (None, None) for a run killed before its first."""
  if not keeper.steps():
    return None, None
  algorithm = keeper.meta()["algorithm"]
  if algorithm != request.given["algorithm"]:
    raise UserError(f"--resume: {keeper.folder} is of {algorithm}, not of {request.given['algorithm']}")
  states, meta = keeper.restore(jax.eval_shape(learner.init, jax.random.key(0)), request.seeds)
  return jax.device_put(states), trainer.Position(**meta["position"])


def finish(request: Request, data: runs.Data, position: trainer.Position, config: dict[str, Any], log) -> None:
  """result.json, the picture and the table."""
  given, run = request.given, request.run
  returns = Named(np.stack(log.returns, axis=1), logs.AXES)
  by_evaluation = np.mean(returns.values, axis=2)  # [seed, evaluation]
  best = np.argmax(by_evaluation, axis=1)
  best_raw = np.take_along_axis(by_evaluation, best[:, None], axis=1)[:, 0]
  result = {
    "algorithm": given["algorithm"],
    "task": given["task"],
    "quality": given["quality"],
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
  logs.write_json(request.folder / "result.json", result)
  picture = request.folder / "learning_curve.png"
  curves.draw(
    picture,
    returns,
    np.asarray(log.steps),
    request.seeds,
    title=f"{given['algorithm']} on {data.card['name']} ({data.card['origin']})",
    dataset_mean=data.mean_return,
    scale=runs.scale(given["task"]),
  )
  print(runs.table(result))
  print(f"learning curve: {picture}")


if __name__ == "__main__":
  runs.start(main, FLAGS)
