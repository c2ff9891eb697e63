"""Trains the prey that `tag` and `world` ship, and shows when neither side improves any more.

  python -m experiments.train_prey --task tag --out prey

First the prey learns (MAPPO) against four scripted chasers. Then in generations: two teams of fresh predators (two
seeds) train against the frozen, noiseless prey and join a pool, and the prey goes on against chasers and pool. What the
better team gets out of a prey is its worst case; training ends when `patience` generations have not lowered the best
one. The table goes into `<task>_<version>.json` beside the weights of the best prey so far, after every generation.
"""

import dataclasses
import io
import itertools
import json
import pathlib

import jax
import numpy as np
from absl import flags

from experiments import launch, runs
from marl_offline.collection import mappo, online
from marl_offline.environments import particle_tasks
from marl_offline.training import logs

FLAGS = flags.FlagValues()
TASK = flags.DEFINE_string("task", "tag", "which chase: tag or world", flag_values=FLAGS)
OUT = flags.DEFINE_string("out", "prey", "folder for the weights and the table", flag_values=FLAGS)
ITERATIONS = flags.DEFINE_integer(
  "iterations", 200, "iterations of the prey against chasers (12,800 steps each)", flag_values=FLAGS
)
GENERATIONS = flags.DEFINE_integer("generations", 20, "generations after the chasers, at most", flag_values=FLAGS)
FRESH = flags.DEFINE_integer(
  "fresh_iterations", 140, "iterations of fresh predators in a generation", flag_values=FLAGS
)
PREY = flags.DEFINE_integer("prey_iterations", 160, "iterations of the prey in a generation", flag_values=FLAGS)
PATIENCE = flags.DEFINE_integer("patience", 3, "generations without progress", lower_bound=1, flag_values=FLAGS)
TEAMS = 2  # fresh predators of a generation: one seed moves the worst case by 10 and more
SEED = flags.DEFINE_integer("seed", 0, "seed of everything", flag_values=FLAGS)


def frozen_params(actor) -> dict[str, np.ndarray]:
  """The prey's mean action as `particle_tasks.prey_network` wants it; its identity is one more bias."""
  (first, second, last), identity = actor["layers"], actor["identity"][0]
  size = first["w"].shape[0]
  params = {"mean": np.zeros(size), "scale": np.ones(size), "w1": first["w"], "b1": first["b"] + identity}
  params |= {"w2": second["w"], "b2": second["b"], "w3": last["w"], "b3": last["b"]}
  return {name: np.asarray(array, np.float32) for name, array in params.items()}


def greedy(actor):
  """The same policy without noise, as the frozen prey acts."""
  return {**actor, "log_std": np.full_like(actor["log_std"], -20.0)}


def value(game, predators, prey, seed) -> list[float]:
  """Mean return of predators (with their noise) and noiseless prey over 1,000 episodes."""
  returns = online.episode_returns(game, (predators, greedy(prey)), jax.random.key(seed), 1000)
  return [round(float(np.mean(side)), 2) for side in returns]


def chaser(task: str, size: tuple[int, int], hidden: int, lead: float, noise: float):
  """Scripted predators as an actor: full throttle towards prey + lead * its velocity - 0.1 * own velocity.

  size = (N, O). The prey's offset and velocity stand at the end of what a predator sees (in `world` before its two
  forest flags). The first layer takes positive and negative parts of the two directions, the second passes them on,
  the last takes the difference and saturates the tanh.
  """
  num_agents, obs_size = size
  velocity = obs_size - (4 if task == "world" else 2)
  offset = velocity - 2
  first, second, last = np.zeros((obs_size, hidden)), np.zeros((hidden, hidden)), np.zeros((hidden, 2))
  for axis, sign in itertools.product((0, 1), (1.0, -1.0)):
    unit = 2 * axis + (sign < 0)
    first[[offset + axis, velocity + axis, axis], unit] = sign * np.array([1.0, lead, -0.1])
    second[unit, unit], last[unit, axis] = 1.0, 20.0 * sign
  layers = [{"w": np.float32(w), "b": np.zeros(w.shape[1], np.float32)} for w in (first, second, last)]
  log_std = np.full((num_agents, 2), np.log(noise), np.float32)
  return {"layers": layers, "identity": np.zeros((num_agents, hidden), np.float32), "log_std": log_std}


def generations(task, game, config, seed):
  """Yields (row of the table, prey) for the prey of the chasers and of every generation after it."""
  calm = dataclasses.replace(config, final_log_std=-2.5)  # the prey plays without noise once it is frozen
  ways = ((0.0, 0.1), (0.15, 0.1), (0.3, 0.1), (0.0, 0.5))  # lead, noise
  chasers = [chaser(task, game.sizes[0], config.hidden, *way) for way in ways]
  (prey,) = online.respond(game, calm, ITERATIONS.value, seed, 1, chasers, title="prey against chasers").actors[-1]
  pool = []
  for generation in range(GENERATIONS.value + 1):
    fresh = []
    for team in range(TEAMS):
      title = f"generation {generation}: fresh predators {team + 1} of {TEAMS}"
      own_seed = seed + 100 + TEAMS * generation + team
      fresh.append(online.respond(game, config, FRESH.value, own_seed, 0, [greedy(prey)], title=title))
    teams = [each.actors[-1][0] for each in fresh]
    values = [value(game, each, prey, 1) for each in teams]
    yield (
      {
        "generation": generation,
        "worst_case": max(predators for predators, _ in values),
        "fresh_predators_and_prey": values,
        "chasers_and_prey": [value(game, each, prey, 2) for each in chasers],
        "earlier_predators_and_prey": [value(game, each, prey, 3) for each in pool],
        "fresh_predators_curves": [np.round(each.returns[::10, 0], 1).tolist() for each in fresh],
      },
      prey,
    )
    if generation == GENERATIONS.value:
      return  # nobody would look at a prey trained further
    pool.extend(teams)
    latest = (pool[::-1] * 4)[:4]  # the four newest; the newest again where there are fewer
    title = f"generation {generation}: prey against chasers and {min(len(pool), 4)} fresh"
    (prey,) = online.respond(
      game, calm, PREY.value, seed + 20 + generation, 1, [*chasers, *latest], prey, title
    ).actors[-1]


def save(folder: pathlib.Path, rows: list[dict], preys: list, config: mappo.Config) -> int:
  """The best prey so far and the whole table. -> its generation."""
  best = int(np.argmin([row["worst_case"] for row in rows]))
  facts = {
    "task": TASK.value,
    "version": particle_tasks.PREY_VERSION,
    "learner": "MAPPO: against scripted chasers, then generations against chasers and a pool of predators",
    "seed": SEED.value,
    "iterations": {"chasers": ITERATIONS.value, "fresh predators": FRESH.value, "prey": PREY.value},
    "steps_per_iteration": config.copies * particle_tasks.HORIZON,
    "chosen_generation": best,
    "generations": rows,
  }
  stem = folder / f"{TASK.value}_{particle_tasks.PREY_VERSION}"
  weights = io.BytesIO()
  np.savez(weights, **frozen_params(preys[best]))
  with runs.writing(None, "what was there before is whole"):
    logs.write_atomically(stem.with_suffix(".npz"), weights.getvalue())
    logs.write_atomically(stem.with_suffix(".json"), (json.dumps(facts, indent=1) + "\n").encode())
  return best


def main() -> None:
  """The binary: chasers, generations, the table, the weights."""
  launch.multiply_in("float32")
  scenarios = {"tag": particle_tasks.tag_scenario, "world": particle_tasks.world_scenario}
  game = online.as_chase(scenarios[runs.choose("task", TASK.value, scenarios)]())
  for flag in (ITERATIONS, FRESH, PREY):
    if flag.value < 1 or flag.value % online.CHUNK:
      raise runs.UserError(f"--{flag.name}={flag.value} must be a positive multiple of {online.CHUNK}")
  folder = pathlib.Path(OUT.value)
  if (folder / f"{TASK.value}_{particle_tasks.PREY_VERSION}.npz").exists():
    raise runs.UserError(f"--out={folder} holds a prey of {TASK.value} already; it is not overwritten")
  folder.mkdir(parents=True, exist_ok=True)
  config, rows, preys = mappo.Config(), [], []
  for row, prey in generations(TASK.value, game, config, SEED.value):
    print(json.dumps(row), flush=True)
    rows.append(row)
    preys.append(prey)
    if len(rows) - 1 - save(folder, rows, preys, config) >= PATIENCE.value:
      break


if __name__ == "__main__":
  launch.binary(main, FLAGS)
