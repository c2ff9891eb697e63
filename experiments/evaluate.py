"""Evaluates a run, finished or not: the table of every seed's newest checkpoint, the learning curves, an episode.

  python -m experiments.evaluate --run_dir runs/spacql-spread-medium-replay-quick
  python -m experiments.evaluate --run_dir runs/spacql-spread-medium-replay-quick --render episode.gif --seed 1

The curves go into learning_curve.png in the run's folder. Exit status: 0 done; 2 input or disk.
"""

import importlib
import pathlib
from collections.abc import Callable

import jax
import numpy as np
from absl import flags

from experiments import launch, runs, settings
from experiments.runs import UserError
from marl_offline.environments.api import HostEnvironment, observation_hash
from marl_offline.evaluation import animation, curves, host_rollouts, rollouts
from marl_offline.evaluation.statistics import Named
from marl_offline.training import checkpoints, logs

FLAGS = flags.FlagValues()
flags.DEFINE_string("run_dir", None, "folder of the run", flag_values=FLAGS)
flags.DEFINE_integer("episodes", 100, "played by every seed, the same ones", lower_bound=1, flag_values=FLAGS)
flags.DEFINE_string(
  "render",
  None,
  "draws an episode into this file: a .gif, at most 20 s, or a .png with a row of frames",
  flag_values=FLAGS,
)
flags.DEFINE_integer(
  "seed", None, "whose policy --render shows (default the run's first)", lower_bound=0, flag_values=FLAGS
)
flags.DEFINE_integer("episode", 0, "which episode --render shows", lower_bound=0, flag_values=FLAGS)


def main() -> None:
  """Table, learning curves and, when asked, an episode.

  Raises:
    UserError: a flag, a damaged run, or the disk.
    CheckpointError: see checkpoints.load_learner.
  """
  if not FLAGS.run_dir:
    raise UserError("--run_dir is needed: the folder of a run, such as runs/spacql-spread-medium-replay-quick")
  folder = pathlib.Path(FLAGS.run_dir)
  if FLAGS.render:
    try:
      animation.check_kind(FLAGS.render)
    except ValueError as error:
      raise UserError(f"--render: {error}") from error
  elif FLAGS.seed is not None or FLAGS["episode"].present:
    raise UserError("--seed and --episode say what --render shows; give it a file, such as --render episode.gif")
  config = runs.read_config(folder)
  launch.multiply_in("float32")
  learner, states, meta = checkpoints.load_learner(folder)
  for name in ("algorithm", "task"):
    if config["flags"][name] != meta.get(name):
      raise UserError(f"{folder} has a config.json of {config['flags'][name]} and checkpoints of {meta.get(name)}")
  environment = matching_environment(meta)
  if FLAGS.render and FLAGS.episode >= FLAGS.episodes:
    raise UserError(
      f"--episode={FLAGS.episode} is not among the --episodes={FLAGS.episodes} that are played, from 0 on"
    )
  if FLAGS.render and FLAGS.seed is not None and FLAGS.seed not in meta["seeds"]:
    raise UserError(f"--seed={FLAGS.seed} is not of this run; it has {meta['seeds']}")
  shown = picture(meta["task"], environment) if FLAGS.render else None
  returns = rollouts.evaluator(environment, learner, FLAGS.episodes)(jax.device_put(states))  # [seed, episode]
  print(runs.table(facts_of(config, meta, returns)))
  draw_curves(folder, config)
  if FLAGS.render:
    seed = meta["seeds"][0] if FLAGS.seed is None else FLAGS.seed
    state = jax.tree.map(lambda leaf: leaf[meta["seeds"].index(seed)], states)
    render(environment, learner, state, *shown)


def matching_environment(meta):
  """The environment that the run was trained for, in the version that it was trained for.

  Raises:
    UserError: it is not here.
  """
  task, trained = meta.get("task"), meta.get("environment", {})
  try:
    environment = runs.environment_of(str(task))
  except UserError as error:
    raise UserError(f"the checkpoint is of task {task!r}, which is not here: {error}") from error
  if trained.get("observation_hash") != observation_hash(environment):
    raise UserError(
      f"the checkpoint was trained for {trained.get('name')} {trained.get('version')}, but {task} is "
      f"{environment.version} here; its scores would not compare"
    )
  return environment


def facts_of(config, meta, returns):
  """What the table needs."""
  return {
    "algorithm": meta["algorithm"],
    "task": meta["task"],
    "quality": config["dataset"]["quality"],
    "settings_of": config["flags"]["quality"],
    "dataset": config["dataset"]["name"],
    "origin": config["dataset"]["origin"],
    "caveat": config["dataset"].get("caveat", ""),
    "seeds": meta["seeds"],
    **runs.summary(meta["task"], np.mean(returns, axis=1)),
    "dataset_mean_return": config["dataset"]["mean_return"],
    "gradient_steps": meta["step"],
    "behavior_updates": settings.behavior_updates(config["run"]["config"]),
    "episodes_per_evaluation": FLAGS.episodes,
  }


def draw_curves(folder, config):
  """The picture of every evaluation so far.

  Raises:
    UserError: returns.npz is damaged or of other seeds, or the picture cannot be written.
  """
  if not (folder / "returns.npz").exists():
    print("no evaluation is logged yet: no learning curve")
    return
  try:
    values, steps = logs.load_returns(folder)
    if len(values) != len(config["seeds"]):
      raise ValueError(f"{folder / 'returns.npz'} holds {len(values)} seeds, but the run has {len(config['seeds'])}")
  except ValueError as error:
    raise UserError(str(error)) from error
  picture = folder / "learning_curve.png"
  data, given = config["dataset"], config["flags"]
  with runs.writing(picture, "the run itself is untouched"):
    curves.draw(
      picture,
      Named(values, logs.AXES),
      steps,
      config["seeds"],
      title=f"{given['algorithm']} on {data['name']} ({data['origin']})",
      dataset_mean=None if data.get("caveat") else data["mean_return"],
      scale=runs.scale(given["task"]),
    )
  print(f"learning curve: {picture}")


def render(environment, learner, state, draw, look):
  """One episode into the file that --render names; draw and look: see picture.

  Raises:
    UserError: it cannot be written.
  """
  path = pathlib.Path(FLAGS.render)
  play = played_on_the_host if isinstance(environment, HostEnvironment) else played
  worlds, rewards = play(environment, learner, state)
  with runs.writing(path, "the run itself is untouched"):
    path.parent.mkdir(parents=True, exist_ok=True)
    animation.render(path, worlds, rewards, draw, **look)
  print(f"episode {FLAGS.episode}: {path}")


def played(environment, learner, state):
  """An episode of a pure environment, the very one that the table counts under this number: worlds, rewards."""
  key = jax.random.split(jax.random.key(rollouts.EVALUATION_KEY), FLAGS.episodes)[FLAGS.episode]
  return rollouts.record_episode(environment, learner.act, state, key, learner.memory)


def played_on_the_host(environment, learner, state):
  """The same of a host environment."""
  return host_rollouts.record_episode(
    environment, learner, state, FLAGS.episode, FLAGS.episodes, rollouts.EVALUATION_KEY
  )


def picture(task: str, environment) -> tuple[Callable, dict]:
  """What draws a world of the task, (axes, world) -> None, and what else animation.render is told.

  Raises:
    UserError: it is a task of somebody's own, whose module has no draw.
  """
  if "." in task:
    module = importlib.import_module(task)
    if not hasattr(module, "draw"):
      raise UserError(f"--render: {task} has no draw(axes, world), which paints a world of its own")
    return module.draw, {}
  if isinstance(environment, HostEnvironment):
    from marl_offline.environments import mujoco_picture

    robot = mujoco_picture.robot(environment.name)
    look = {"step_seconds": robot.seconds, "size": mujoco_picture.SIZE}
    return lambda axes, world: mujoco_picture.draw(axes, robot, world), look
  from marl_offline.environments import particle_picture

  return lambda axes, world: particle_picture.draw(axes, environment.name, world), {}


if __name__ == "__main__":
  launch.binary(main, FLAGS)
