"""Evaluates a finished or running run folder: python -m experiments.evaluate --run_dir runs/x [--render episode.gif]

Prints the table of every seed's newest checkpoint, draws the learning curves, and renders an episode when asked.
"""

import pathlib

import jax
import numpy as np
from absl import flags

from experiments import runs, settings
from experiments.runs import UserError
from marl_offline.environments.api import observation_hash
from marl_offline.evaluation import animation, curves, rollouts
from marl_offline.evaluation.statistics import Named
from marl_offline.training import checkpoints, logs

FLAGS = flags.FlagValues()
flags.DEFINE_string("run_dir", None, "folder of the run", flag_values=FLAGS)
flags.DEFINE_integer("episodes", 100, "played by every seed", lower_bound=1, flag_values=FLAGS)
flags.DEFINE_string("render", None, "draws an episode: a .gif, or a .png with a row of frames", flag_values=FLAGS)
flags.DEFINE_integer(
  "seed", None, "whose policy --render shows (default the run's first)", lower_bound=0, flag_values=FLAGS
)
flags.DEFINE_integer("episode", 0, "which episode --render shows", lower_bound=0, flag_values=FLAGS)


def main() -> None:
  """Table, learning curves and, when asked, an episode."""
  if not FLAGS.run_dir:
    raise UserError("--run_dir is needed: the folder of a run, such as runs/spacql-spread-medium-replay-quick")
  folder = pathlib.Path(FLAGS.run_dir)
  if FLAGS.render:
    try:
      animation.check_kind(FLAGS.render)
    except ValueError as error:
      raise UserError(f"--render: {error}") from error
  config = runs.read_config(folder)
  learner, states, meta = checkpoints.load_learner(folder)
  environment = matching_environment(meta)
  if FLAGS.render and FLAGS.seed is not None and FLAGS.seed not in meta["seeds"]:
    raise UserError(f"--seed={FLAGS.seed} is not of this run; it has {meta['seeds']}")
  returns = rollouts.evaluator(environment, learner, FLAGS.episodes)(jax.device_put(states))  # [seed, episode]
  print(runs.table(facts_of(config, meta, returns)))
  draw_curves(folder, config)
  if FLAGS.render:
    seed = meta["seeds"][0] if FLAGS.seed is None else FLAGS.seed
    state = jax.tree.map(lambda leaf: leaf[meta["seeds"].index(seed)], states)
    render(environment, learner, state)


def matching_environment(meta):
  """The environment that the run was trained for, in the version that it was trained for."""
  task, trained = meta.get("task"), meta.get("environment", {})
  if task not in settings.TASKS:
    raise UserError(f"the checkpoint is of task {task!r}, which is not among {', '.join(settings.TASKS)}")
  environment = runs.environment_of(task)
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
    "dataset": config["dataset"]["name"],
    "origin": config["dataset"]["origin"],
    "seeds": meta["seeds"],
    **runs.summary(meta["task"], np.mean(returns, axis=1)),
    "dataset_mean_return": config["dataset"]["mean_return"],
    "gradient_steps": meta["step"],
    "episodes_per_evaluation": FLAGS.episodes,
  }


def draw_curves(folder, config):
  """The picture of every evaluation so far."""
  try:
    values, steps, seeds = logs.load_returns(folder)
  except FileNotFoundError:
    print("no evaluation is logged yet: no learning curve")
    return
  except ValueError as error:
    raise UserError(f"{folder / 'returns.npz'} cannot be read: {error}") from error
  picture = folder / "learning_curve.png"
  data, given = config["dataset"], config["flags"]
  curves.draw(
    picture,
    Named(values, logs.AXES),
    steps,
    seeds.tolist(),
    title=f"{given['algorithm']} on {data['name']} ({data['origin']})",
    dataset_mean=data["mean_return"],
    scale=runs.scale(given["task"]),
  )
  print(f"learning curve: {picture}")


def render(environment, learner, state):
  """One episode into the file that --render names."""
  from marl_offline.environments import particle_picture

  key = jax.random.fold_in(jax.random.key(rollouts.EVALUATION_KEY), FLAGS.episode)
  worlds, rewards = rollouts.record_episode(environment, learner.act, state, key, learner.memory)
  path = pathlib.Path(FLAGS.render)
  path.parent.mkdir(parents=True, exist_ok=True)
  animation.render(path, worlds, rewards, lambda axes, world: particle_picture.draw(axes, environment.name, world))
  print(f"episode {FLAGS.episode}: {path}")


if __name__ == "__main__":
  runs.start(main, FLAGS)
