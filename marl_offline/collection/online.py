"""Online training of the policies that make our data: a task as a game of one or two teams, and the loop over it."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from tqdm import tqdm

from marl_offline.collection import mappo
from marl_offline.collection.mappo import Game
from marl_offline.environments import particle_world
from marl_offline.environments.api import PureEnvironment
from marl_offline.environments.particle_tasks import HORIZON, Scenario

CHUNK = 2  # iterations compiled into one scan; a snapshot is taken after each


class History(NamedTuple):
  """What training leaves behind, one row a chunk of iterations. Z snapshots, the first before any learning."""

  env_steps: np.ndarray  # [Z] steps of the task seen so far
  returns: (
    np.ndarray
  )  # [Z, teams] mean return with noise in the chunk that led here; the first two are the same chunk's
  actors: list[tuple[Any, ...]]  # [Z] of (actor of each team)


def as_game(environment: PureEnvironment) -> Game:
  """The learned agents are the only team; a frozen prey is part of the task."""

  def step(state, actions, key):
    state, reward, _, _ = environment.step(state, actions[0], key)
    return state, (reward,)

  sizes = ((environment.num_agents, environment.obs_size),)
  return Game(environment.reset, lambda state: (environment.observe(state),), step, environment.horizon, sizes)


def as_chase(scenario: Scenario) -> Game:
  """Predators against prey, both learning."""

  def observe(state):
    return scenario.observe(state), scenario.observe_prey(state)[None]

  def step(state, actions, key):
    del key
    state = particle_world.advance(scenario.bodies, state, jnp.concatenate(actions))
    rewards = scenario.rewards(state)
    return state, (rewards[: scenario.num_learned], rewards[scenario.num_learned :])

  shapes = jax.eval_shape(lambda key: observe(scenario.reset(key)), jax.random.key(0))
  return Game(scenario.reset, observe, step, HORIZON, tuple(shape.shape for shape in shapes))


@functools.cache  # a new one would be a new static argument, and every run in one program would compile again
def make_optimizer(config: mappo.Config, iterations: int) -> optax.GradientTransformation:
  """Adam with a linearly falling rate, gradients clipped at norm 0.5."""
  steps = iterations * config.epochs * config.minibatches
  rate = optax.linear_schedule(config.learning_rate, config.final_learning_rate, steps)
  return optax.chain(optax.clip_by_global_norm(0.5), optax.adam(rate))


def log_std_bound(config: mappo.Config, progress: jax.Array) -> jax.Array:
  """What the log standard deviation may not exceed after a share of the run."""
  return config.initial_log_std + progress * (config.final_log_std - config.initial_log_std)


def _mean_return(played: mappo.Played) -> jax.Array:
  return jnp.mean(jnp.sum(played.reward, axis=0))


@functools.partial(jax.jit, static_argnames=("game", "config", "iterations", "optimizer"), donate_argnames="teams")
def alone_chunk(game, config, iterations, optimizer, teams, run_key, first):
  """CHUNK iterations of the game's only team. Returns it in a tuple, and its mean return [1]."""

  def one_iteration(teams, iteration):
    (team,) = teams
    key_play, key_learn = jax.random.split(jax.random.fold_in(run_key, iteration))
    (played,) = mappo.play(game, (team.actor,), key_play, config.copies)
    bound = log_std_bound(config, iteration / iterations)
    return (mappo.learn(team, played, key_learn, config, optimizer, bound),), _mean_return(played)[None]

  teams, returns = jax.lax.scan(one_iteration, teams, first + jnp.arange(CHUNK))
  return teams, jnp.mean(returns, axis=0)


def side_by_side(played: mappo.Played) -> mappo.Played:
  """Episodes against each opponent [P, T, C, ...] as those of all copies together [T, P * C, ...]."""
  return jax.tree.map(lambda x: jnp.moveaxis(x, 0, 1).reshape(x.shape[1], -1, *x.shape[3:]), played)


@functools.partial(
  jax.jit, static_argnames=("game", "config", "iterations", "optimizer", "side"), donate_argnames="teams"
)
def against_chunk(game, config, iterations, optimizer, teams, run_key, first, side, opponents):
  """CHUNK iterations of one team (0 or 1) against each of the frozen opponents [P, ...] in equal parts."""
  num_opponents = jax.tree.leaves(opponents)[0].shape[0]

  def one_iteration(teams, iteration):
    (team,) = teams
    key_play, key_learn = jax.random.split(jax.random.fold_in(run_key, iteration))

    def against(opponent, key):
      actors = (team.actor, opponent) if side == 0 else (opponent, team.actor)
      return mappo.play(game, actors, key, config.copies // num_opponents)[side]

    played = side_by_side(jax.vmap(against)(opponents, jax.random.split(key_play, num_opponents)))
    bound = log_std_bound(config, iteration / iterations)
    team = mappo.learn(team, played, key_learn, config, optimizer, bound)
    return (team,), _mean_return(played)[None]

  teams, returns = jax.lax.scan(one_iteration, teams, first + jnp.arange(CHUNK))
  return teams, jnp.mean(returns, axis=0)


def train(game: Game, config: mappo.Config, iterations: int, seed: int, title: str = "") -> History:
  """The team of a game that has one learns from fresh parameters, with a bar; respond is for games of two.

  Raises:
    ValueError: iterations is not a positive multiple of CHUNK, or the game has several teams.
  """
  if len(game.sizes) != 1:
    raise ValueError(f"a game of {len(game.sizes)} teams; train is for one, respond for one against frozen others")
  optimizer = make_optimizer(config, iterations)
  run_key, init_key = jax.random.split(jax.random.key(seed))
  team = mappo.init_team(init_key, game.sizes[0], config, optimizer)
  chunk = functools.partial(alone_chunk, game, config, iterations, optimizer)
  return _loop(chunk, (team,), run_key, iterations, config.copies * game.horizon, title)


def respond(
  game: Game, config: mappo.Config, iterations: int, seed: int, side: int, opponents: list[Any], actor=None, title=""
) -> History:
  """One team learns against frozen opponents; it starts from `actor`, or fresh where that is None.

  Raises:
    ValueError: iterations is not a positive multiple of CHUNK, or the copies cannot be shared out equally.
  """
  if config.copies % len(opponents):
    raise ValueError(f"copies={config.copies} cannot be shared out among {len(opponents)} opponents")
  optimizer = make_optimizer(config, iterations)
  run_key, init_key = jax.random.split(jax.random.key(seed))
  team = mappo.init_team(init_key, game.sizes[side], config, optimizer)
  team = team if actor is None else team.replace(actor=jax.tree.map(jnp.asarray, actor))
  stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *opponents)
  chunk = functools.partial(against_chunk, game, config, iterations, optimizer, side=side, opponents=stacked)
  return _loop(chunk, (team,), run_key, iterations, config.copies * game.horizon, title)


def _loop(chunk, teams, run_key, iterations, steps_per_iteration, title) -> History:
  if iterations <= 0 or iterations % CHUNK:
    raise ValueError(f"iterations={iterations} must be a positive multiple of {CHUNK}")

  def actors():
    return tuple(jax.tree.map(np.array, team.actor) for team in teams)

  kept, returns = [actors()], []
  with tqdm(total=iterations, desc=title, unit="iteration", smoothing=0.1) as bar:
    for first in range(0, iterations, CHUNK):
      teams, mean = chunk(teams=teams, run_key=run_key, first=first)
      returns.append(np.asarray(mean))
      kept.append(actors())
      bar.set_postfix_str("return " + ", ".join(f"{value:.1f}" for value in returns[-1]), refresh=False)
      bar.update(CHUNK)
  steps = np.arange(len(kept)) * CHUNK * steps_per_iteration
  return History(steps, np.stack([returns[0], *returns]), kept)


@functools.partial(jax.jit, static_argnames=("game", "episodes"))
def episode_returns(game: Game, actors: tuple[Any, ...], key: jax.Array, episodes: int) -> tuple[jax.Array, ...]:
  """Mean over agents of each episode's reward sum, acting with noise. One [episodes] a team."""
  return tuple(jnp.mean(jnp.sum(played.reward, axis=0), axis=-1) for played in mappo.play(game, actors, key, episodes))
