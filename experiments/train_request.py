"""What `train` was asked for: its flags, checked before anything is written, and against the run that is resumed."""

import dataclasses
import json
import pathlib
from collections.abc import Callable, Iterable
from typing import Any

from absl import flags

from experiments import cells, runs, settings
from experiments.runs import UserError
from marl_offline.evaluation import scores
from marl_offline.training import trainer

LAST_SEED = 2**32 - 1  # a key holds no larger one
FLAGS = flags.FlagValues()  # its own: the collector that makes missing data has some of the same names
flags.DEFINE_string(
  "algorithm",
  "spacql",
  f"one of {', '.join(settings.ALGORITHMS)}; or a module of your own by its dotted name, with a Config and a make",
  flag_values=FLAGS,
)
flags.DEFINE_string(
  "task",
  "spread",
  f"one of {', '.join(settings.TASKS)}; or a module of your own by its dotted name, with a make and a REFERENCE",
  flag_values=FLAGS,
)
flags.DEFINE_string(
  "quality",
  "medium-replay",
  f"which data set, and which settings: one of {', '.join(settings.QUALITIES)}",
  flag_values=FLAGS,
)
flags.DEFINE_string(
  "protocol", "quick", f"how long and with what settings: one of {', '.join(settings.PROTOCOLS)}", flag_values=FLAGS
)
flags.DEFINE_integer("num_seeds", 1, "seeds trained at once in one program", lower_bound=1, flag_values=FLAGS)
flags.DEFINE_integer(
  "first_seed", 0, "they are first_seed, first_seed + 1, ...", lower_bound=0, upper_bound=LAST_SEED, flag_values=FLAGS
)
flags.DEFINE_multi_string(
  "set",
  [],
  "changes a field of the algorithm's Config (in marl_offline/algorithms/), as --set alpha=0.5; repeatable",
  flag_values=FLAGS,
)
flags.DEFINE_integer(
  "gradient_steps",
  None,
  "updates of every seed, instead of the protocol's; a model of the behavior (agent_weights) takes its own before",
  lower_bound=1,
  flag_values=FLAGS,
)
flags.DEFINE_integer(
  "evaluations", None, "over the run, evenly spread, instead of the protocol's", lower_bound=1, flag_values=FLAGS
)
flags.DEFINE_integer(
  "episodes", None, "in each evaluation, instead of the protocol's", lower_bound=1, flag_values=FLAGS
)
flags.DEFINE_string(
  "dataset",
  None,
  "folder of your own data set (default the newest of ours in --data_dir); if its quality is none of ours, --quality "
  "still says whose settings to train with",
  flag_values=FLAGS,
)
flags.DEFINE_string("data_dir", "data", "where data sets lie and are made", flag_values=FLAGS)
flags.DEFINE_string(
  "run_dir", None, "where the run goes (default runs/<algorithm>-<task>-<quality>-<protocol>)", flag_values=FLAGS
)
flags.DEFINE_boolean(
  "resume", False, "go on from the newest checkpoint of --run_dir; other flags may be left out", flag_values=FLAGS
)
flags.DEFINE_string(
  "precision",
  "float32",
  f"of matrix products on an accelerator: one of {', '.join(settings.PRECISIONS)}; the last two are faster and rounder",
  flag_values=FLAGS,
)
flags.DEFINE_string(
  "coordinator",
  None,
  "host:port of process 0, where several processes train one run, each its share of the seeds; auto on a cluster that "
  "JAX knows, such as Slurm",
  flag_values=FLAGS,
)
flags.DEFINE_integer("num_processes", None, "how many there are", lower_bound=1, flag_values=FLAGS)
flags.DEFINE_integer("process_id", None, "which of them this one is, from 0", lower_bound=0, flag_values=FLAGS)
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
  "precision",
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
  began_with: pathlib.Path | None = None  # the data set of the run that is resumed


def read() -> Request:
  """The flags, checked; a resumed run's come from its config.json.

  Raises:
    UserError: an unknown name, a wrong type, a run folder that exists, a --resume without its run or with other flags.
  """
  given = {name: getattr(FLAGS, name) for name in IDENTITY}
  default = pathlib.Path("runs", "-".join(given[name] for name in ("algorithm", "task", "quality", "protocol")))
  folder, data_dir = pathlib.Path(FLAGS.run_dir) if FLAGS.run_dir else default, FLAGS.data_dir
  began_with = None
  if FLAGS.resume:
    stored = runs.read_config(folder)
    given = flags_of_run(folder, stored)
    began_with = pathlib.Path(stored["dataset"]["folder"])
    data_dir = FLAGS.data_dir if FLAGS["data_dir"].present else str(began_with.parent)
    began_with = pathlib.Path(data_dir) / began_with.name
  if folder.exists() and not FLAGS.resume:
    checked_run(given)
    advice = "go on with that run by --resume, or name" if (folder / "config.json").exists() else "it is no run; name"
    raise UserError(f"--run_dir={folder} exists; {advice} another folder with --run_dir")
  return of_flags(given, folder, data_dir, FLAGS.resume, began_with)


def of_flags(given, folder: pathlib.Path, data_dir: str, resume=False, began_with=None) -> Request:
  """The request of a run whose flags of IDENTITY are `given`.

  Raises:
    UserError: an unknown name, a wrong type, seeds beyond the last one.
  """
  run = checked_run(given)
  try:
    plan = trainer.Plan(run.gradient_steps, run.evaluations, run.log_every)
  except ValueError as error:
    raise UserError(str(error)) from error
  seeds = [given["first_seed"] + i for i in range(given["num_seeds"])]
  if seeds[-1] > LAST_SEED:
    raise UserError(
      f"--first_seed={seeds[0]} --num_seeds={len(seeds)} end at {seeds[-1]}; the last seed is {LAST_SEED}"
    )
  return Request(given, run, plan, seeds, folder, data_dir, resume, began_with)


def resumed(given, folder: pathlib.Path, data_dir: str) -> Request:
  """The request that goes on with the run in `folder`, which must have been begun with the flags `given`.

  A data set may have moved; what it holds is compared later.

  Raises:
    UserError: it was not, or it is no run folder.
  """
  stored = runs.read_config(folder)
  before = {name: stored["flags"].get(name, FLAGS[name].default) for name in IDENTITY if name != "dataset"}
  if differ := [name for name in before if before[name] != given[name]]:
    was, now = before[differ[0]], given[differ[0]]
    raise UserError(f"{folder} was begun with {differ[0]}={was}, not {now}; move it, or take another folder")
  return of_flags(
    given, folder, data_dir, True, pathlib.Path(data_dir) / pathlib.Path(stored["dataset"]["folder"]).name
  )


def team_flags() -> tuple[str | None, int | None, int | None]:
  """What processes.join takes."""
  return FLAGS.coordinator, FLAGS.num_processes, FLAGS.process_id


def named(flag: str, name: str, known: Iterable[str], load: Callable[[str], Any]):
  """load(name), of one of the known, or of a module of somebody's own by its dotted name.

  Raises:
    UserError: there is none; of our own the nearest name is told.
  """
  if "." not in name:
    runs.choose(flag, name, known, "; or a module of your own by its dotted name, such as my_package.my_module")
  try:
    return load(name)
  except ValueError as error:
    raise UserError(str(error)) from error


def checked_run(given: dict[str, Any]) -> settings.Run:
  """The protocol's Run with what the flags change in it.

  Raises:
    UserError: an unknown name or a wrong type, or evaluations that do not fall on whole periods of the actors, or on
      the end of the updates that fit a model of the behavior.
  """
  named("algorithm", given["algorithm"], settings.ALGORITHMS, settings.load)
  named("task", given["task"], settings.TASKS, settings.load_task)
  known = {"quality": settings.QUALITIES, "protocol": settings.PROTOCOLS, "precision": settings.PRECISIONS}
  for name, values in known.items():
    runs.choose(name, given[name], values)
  if "." not in given["task"] and given["task"] not in scores.REFERENCES:
    raise UserError(f"--task={given['task']} cannot be scored: what scores 0 and 100 on it is not known here yet")
  if "." in given["task"] and not given["dataset"]:
    told = "is not ours: --dataset (of tables: --datasets) says on what; experiments.collect makes random play of it"
    raise UserError(f"--task={given['task']} {told}")
  run = settings.PROTOCOLS[given["protocol"]](given["algorithm"], given["task"], given["quality"])
  for item in given["set"]:
    runs.choose("set", item.partition("=")[0], [field.name for field in dataclasses.fields(run.config)])
  try:
    config = settings.override(run.config, given["set"])
  except ValueError as error:
    raise UserError(str(error)) from error
  changed = {name: given[name] for name in ("gradient_steps", "evaluations", "episodes") if given[name] is not None}
  run = whole_periods(dataclasses.replace(run, config=config, **changed))
  try:
    return settings.with_behavior_updates(run)
  except ValueError as error:
    raise UserError(str(error)) from error


def whole_periods(run: settings.Run) -> settings.Run:
  """The Run with chunks of whole actor periods: over a part of one, the actors' metrics would be no means.

  Raises:
    UserError: an evaluation does not fall at the end of a period.
  """
  period = getattr(run.config, "actor_period", 1)
  interval = run.gradient_steps // run.evaluations
  if period < 1 or run.gradient_steps % run.evaluations:
    return run  # make and Plan refuse these with sentences of their own
  if interval % period:
    raise UserError(
      f"gradient_steps={run.gradient_steps} with evaluations={run.evaluations} evaluates every {interval} steps, which "
      f"is no multiple of actor_period={period}; change one of the three"
    )
  return dataclasses.replace(run, log_every=max(run.log_every // period, 1) * period)


def flags_of_run(folder: pathlib.Path, config: dict[str, Any]) -> dict[str, Any]:
  """The flags of a run that exists; those given now must agree.

  Raises:
    UserError: one does not.
  """
  stored = config["flags"]
  for name in IDENTITY:
    now, was = getattr(FLAGS, name), stored.get(name, FLAGS[name].default)
    if name == "dataset" and now and was:
      stored = stored | {name: now}  # it may have moved; what it holds is compared later
      continue
    if FLAGS[name].present and now != was:
      raise UserError(
        f"--resume: {folder} was made with --{name}={was}, not {now}; leave the flag out to go on with that "
        "run, or begin another with another --run_dir"
      )
  return {name: stored.get(name, getattr(FLAGS, name)) for name in IDENTITY}


def require_same_run(folder: pathlib.Path, config: dict[str, Any]) -> None:
  """What a resumed run would train with is what it was begun with: settings and data may have changed since.

  Only what decides the result is compared: not the settings' source in words, nor how often the loop looks around.

  Raises:
    UserError: settings or data differ.
  """
  stored, now = runs.read_config(folder), json.loads(json.dumps(config))
  for name, was, wants in _what_decides(stored, now):
    if was != wants:
      raise UserError(f"--resume: {folder} was begun with {name} {was}, which is now {wants}; begin another run")
  if stored["dataset"]["sha256"] != now["dataset"]["sha256"]:
    began, here = stored["dataset"]["name"], now["dataset"]["folder"]
    raise UserError(f"--resume: {folder} was begun on a data set {began} with other content than {here} has")


def _what_decides(stored: dict[str, Any], now: dict[str, Any]):
  """(name, as it was, as it is) of all that decides a run's result; fields younger than it at their defaults."""
  algorithm = now["flags"]["algorithm"]
  was, wants = (
    settings.in_use(json.loads(json.dumps(cells.with_defaults(algorithm, run["run"]["config"]))))
    for run in (stored, now)
  )
  yield from ((name, was.get(name), wants[name]) for name in wants)
  for name in sorted(set(now["run"]) - {"source", "log_every", "config"}):
    yield name, stored["run"].get(name), now["run"][name]
