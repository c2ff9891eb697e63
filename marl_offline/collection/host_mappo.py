"""MAPPO, arXiv:2103.01955, in an environment on the host: a network for each agent, one value of the state for all.

For robots that fall. A round plays `steps` control steps of every copy, with Gaussian noise around each agent's tanh
mean, then takes a few epochs of clipped policy-gradient steps on them. All that follows depends on a Run alone (see
host_loop). Letters: T control steps, C copies.
"""

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from marl_offline.collection import host_loop, mappo, online
from marl_offline.collection.host_loop import Run
from marl_offline.environments.api import HostEnvironment

CONFIG = mappo.Config(
  copies=64,
  epochs=10,
  minibatches=8,
  learning_rate=3e-4,
  final_learning_rate=3e-5,
  entropy=0.0,
  initial_log_std=-0.5,
  final_log_std=-2.0,
)


@dataclasses.dataclass(frozen=True)
class Plan:
  """How long a run plays."""

  rounds: int
  steps: int = 128  # T
  snapshots: int = 100  # of the policies, evenly spread over the rounds; a divisor of them

  @property
  def env_steps(self) -> int:
    """Of all copies in a round."""
    return self.steps * CONFIG.copies


class Scale(NamedTuple):
  """Mean and variance of all states that were seen, float64 on the host."""

  count: np.ndarray  # []
  mean: np.ndarray  # [S]
  variance: np.ndarray  # [S]


class Play(NamedTuple):
  """A run between two rounds."""

  learner: mappo.Team  # layers and log_std of its actor are [N, ...]
  scale: Scale
  world: NamedTuple  # [C, ...] of the environment
  gathered: np.ndarray  # [C] float64, each copy's return so far in its episode
  round: np.ndarray  # [] rounds that are done


class Played(NamedTuple):
  """What a round saw, [T, C, ...] float32."""

  obs: np.ndarray
  state: np.ndarray
  next_state: np.ndarray  # of the step itself, also where an episode ended with it
  action: np.ndarray  # before clipping: the density is that of the Gaussian
  log_prob: np.ndarray  # [T, C, N]
  reward: np.ndarray
  terminated: np.ndarray
  ended: np.ndarray  # terminated or truncated


def mean_action(actors: dict, obs: jax.Array) -> jax.Array:
  """tanh mean of every agent by its own network. obs [..., N, O] -> [..., N, A] in [-1, 1]."""
  return jnp.tanh(jax.vmap(mappo.mlp, in_axes=(0, -2), out_axes=-2)(actors["layers"], obs))


def begin(environment: HostEnvironment, plan: Plan, seed: int) -> Run:
  """Fresh parameters, fresh worlds.

  Raises:
    ValueError: see host_loop.check; or the minibatches are unequal.
  """
  host_loop.check(plan)
  if plan.env_steps % CONFIG.minibatches:
    raise ValueError(f"steps={plan.steps} times {CONFIG.copies} cannot be cut into {CONFIG.minibatches} minibatches")
  key_actors, *keys = jax.random.split(jax.random.key(seed), 4)
  one_actor = functools.partial(_init_actor, environment.obs_size, environment.action_size)
  actors = jax.vmap(one_actor)(jax.random.split(key_actors, environment.num_agents))
  critic = mappo.dense_layers(keys, (environment.state_size, 2 * CONFIG.hidden, 2 * CONFIG.hidden, 1), 1.0)
  optimizer = online.make_optimizer(CONFIG, plan.rounds).init((actors, critic))
  scale = Scale(np.zeros(()), np.zeros(environment.state_size), np.ones(environment.state_size))
  world = environment.reset(np.random.default_rng((seed, 0)), CONFIG.copies)
  play = Play(mappo.Team(actors, critic, optimizer), scale, world, np.zeros(CONFIG.copies), np.array(0))
  return host_loop.begin(plan, play, look)


def _init_actor(obs_size, action_size, key):
  layers = mappo.dense_layers(
    jax.random.split(key, 3), (obs_size, CONFIG.hidden, CONFIG.hidden, action_size), last_gain=0.01
  )
  return {"layers": layers, "log_std": jnp.full(action_size, CONFIG.initial_log_std)}


def look(play: Play) -> tuple[dict, float]:
  """The policies, and the mean standard deviation of their noise."""
  return play.learner.actor, float(np.exp(play.learner.actor["log_std"]).mean())


def train(environment: HostEnvironment, plan: Plan, seed: int, run: Run, keep, title: str = "") -> Run:
  """The run to its end, with a bar; see host_loop.train."""
  return host_loop.train(plan, run, lambda play: advance(environment, plan, play, seed), look, keep, title)


def advance(environment: HostEnvironment, plan: Plan, play: Play, seed: int) -> tuple[Play, list[float]]:
  """One round. -> Play, returns of the episodes that ended in it."""
  number, world, gathered = int(play.round) + 1, play.world, play.gathered
  key_noise, key_learn = jax.random.split(jax.random.fold_in(jax.random.key(seed), number))
  rows, finished, state = [], [], np.float32(environment.state(world))
  for step in range(plan.steps):
    obs = np.float32(environment.observe(world))
    action, log_prob = map(np.asarray, _act(play.learner.actor, obs, key_noise, step))
    world, reward, terminated, truncated = environment.step(world, np.clip(action, -1.0, 1.0))
    team, ended, following = reward.mean(axis=1), terminated | truncated, np.float32(environment.state(world))
    told = (np.float32(array) for array in (team, terminated, ended))
    rows.append(Played(obs, state, following, action, log_prob, *told))
    place = seed, (number - 1) * plan.steps + step + 1
    world, gathered, returns = host_loop.restarted(environment, world, gathered + team, ended, place)
    finished, state = finished + returns, np.float32(environment.state(world)) if returns else following
  played = jax.tree.map(lambda *each: np.stack(each), *rows)
  scale = seen_more(play.scale, played.state)
  center, width = np.float32(scale.mean), np.float32(np.sqrt(scale.variance) + 1e-6)
  learned = _learn(plan.rounds, play.learner, played, center, width, key_learn, number - 1)
  return Play(learned, scale, world, gathered, np.array(number)), finished


def seen_more(scale: Scale, states: np.ndarray) -> Scale:
  """The moments after more states [..., S]."""
  flat = states.reshape(-1, states.shape[-1]).astype(np.float64)
  count = scale.count + len(flat)
  shift = flat.mean(axis=0) - scale.mean
  share = len(flat) / count
  within = (1 - share) * scale.variance + share * flat.var(axis=0)
  return Scale(count, scale.mean + share * shift, within + share * (1 - share) * np.square(shift))


def advantages(reward, value, next_value, terminated, ended, gamma: float, trace: float):
  """Generalised advantages of whole and cut episodes, all [T, C]: A_t = d_t + gamma trace (1 - ended_t) A_{t+1},

  d_t = r_t + gamma (1 - terminated_t) V(s_{t+1}) - V(s_t); arXiv:1506.02438. The value goes on after a time
  limit, and not after a termination.
  """
  delta = reward + gamma * (1 - terminated) * next_value - value
  return mappo.summed_back(delta, gamma * trace * (1 - ended))


@jax.jit
def _act(actors, obs, key, step):
  """Actions before clipping, and their log densities."""
  mean = mean_action(actors, obs)
  action = mean + jnp.exp(actors["log_std"]) * jax.random.normal(jax.random.fold_in(key, step), mean.shape)
  return action, mappo.log_density(actors, mean, action)


@functools.partial(jax.jit, static_argnums=0)
def _learn(rounds, learned, played, center, width, key, number):
  """A few epochs over a round; the noise stays under a line that falls over the run."""
  inputs, following = ((state - center) / width for state in (played.state, played.next_state))
  value, next_value = (mappo.mlp(learned.critic, x)[..., 0] for x in (inputs, following))
  reward = CONFIG.reward_scale * played.reward
  advantage = advantages(reward, value, next_value, played.terminated, played.ended, CONFIG.gamma, CONFIG.trace)
  target = advantage + value
  advantage = (advantage - jnp.mean(advantage)) / (jnp.std(advantage) + 1e-6)
  data = (played.obs, inputs, played.action, played.log_prob, advantage[..., None], target[..., None])
  bound = online.log_std_bound(CONFIG, number / rounds)
  return mappo.descend(learned, data, key, CONFIG, online.make_optimizer(CONFIG, rounds), bound, mean_action)
