"""MAPPO, the online learner behind our data sets: PPO with a central critic, parameters shared inside a team.

Yu et al., "The Surprising Effectiveness of PPO in Cooperative Multi-Agent Games", arXiv:2103.01955. A game has one team
(spread) or two that play against each other (tag and world: predators, prey). An iteration plays whole episodes in many
copies of the task, then takes a few epochs of clipped policy-gradient steps. Letters: C copies of the task.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import struct


class Game(NamedTuple):
  """A task for teams. One entry a team in every tuple."""

  reset: Callable  # key -> state
  observe: Callable  # state -> (obs [N, O], ...)
  step: Callable  # state, (action [N, A], ...), key -> state, (reward [N], ...)
  horizon: int
  sizes: tuple[tuple[int, int], ...]  # (N, O) of each team


@dataclasses.dataclass(frozen=True)
class Config:
  """Defaults for the particle tasks."""

  copies: int = 512
  hidden: int = 128
  epochs: int = 4
  minibatches: int = 4
  learning_rate: float = 1e-3
  final_learning_rate: float = 1e-4
  gamma: float = 0.99
  trace: float = 0.95  # lambda of the generalised advantage
  clip: float = 0.2
  entropy: float = 1e-3
  reward_scale: float = 0.05
  initial_log_std: float = -0.2
  final_log_std: float = -1.5  # the noise may not exceed a line from the initial to this one


@struct.dataclass
class Team:
  """What one team has learned. Actor weights are shared; `identity` tells the agents apart."""

  actor: Any
  critic: Any
  optimizer: optax.OptState


class Played(NamedTuple):
  """Episodes of one team, [T, C, N, ...]."""

  obs: jax.Array
  action: jax.Array  # before clipping: the density is that of the Gaussian
  log_prob: jax.Array
  reward: jax.Array


def dense(key, inputs, outputs, gain):
  """One layer, orthogonal."""
  return {"w": jax.nn.initializers.orthogonal(gain)(key, (inputs, outputs)), "b": jnp.zeros(outputs)}


def dense_layers(keys, sizes, last_gain):
  """Layers from sizes[0] inputs to sizes[-1] outputs, for mlp."""
  gains = [1.4] * (len(sizes) - 2) + [last_gain]
  return [dense(*each) for each in zip(keys, sizes[:-1], sizes[1:], gains, strict=True)]


def mlp(layers, x):
  """ReLU between dense layers, none after the last."""
  for layer in layers[:-1]:
    x = jax.nn.relu(x @ layer["w"] + layer["b"])
  return x @ layers[-1]["w"] + layers[-1]["b"]


def init_actor(key, num_agents, obs_size, hidden, action_size=2, log_std=-0.5):
  """Two shared ReLU layers; each agent adds its own `identity` before the first ReLU."""
  keys = jax.random.split(key, 4)
  layers = [dense(keys[0], obs_size, hidden, 1.4), dense(keys[1], hidden, hidden, 1.4)]
  layers.append(dense(keys[2], hidden, action_size, 0.01))
  identity = 0.1 * jax.random.normal(keys[3], (num_agents, hidden))
  return {"layers": layers, "identity": identity, "log_std": jnp.full((num_agents, action_size), log_std, jnp.float32)}


def mean_action(actor, obs):
  """tanh mean of every agent. obs [..., N, O] -> [..., N, A] in [-1, 1]."""
  first, *rest = actor["layers"]
  hidden = jax.nn.relu(obs @ first["w"] + first["b"] + actor["identity"])
  return jnp.tanh(mlp(rest, hidden))


def log_density(actor, mean, action):
  """log N(action; mean, std^2), summed over action components. [..., N, A] -> [..., N]."""
  log_std = actor["log_std"]
  return jnp.sum(-0.5 * jnp.square((action - mean) / jnp.exp(log_std)) - log_std - 0.5 * jnp.log(2 * jnp.pi), axis=-1)


def init_team(key, size, config, optimizer):
  """A fresh team of `size` = (N, O)."""
  num_agents, obs_size = size
  key_actor, *keys = jax.random.split(key, 4)
  actor = init_actor(key_actor, num_agents, obs_size, config.hidden, log_std=config.initial_log_std)
  inputs = num_agents * obs_size + 1
  shape = (inputs, 2 * config.hidden, 2 * config.hidden, num_agents)
  critic = dense_layers(keys, shape, 1.0)
  return Team(actor, critic, optimizer.init((actor, critic)))


def critic_inputs(obs):
  """All the team's observations and the fraction of the episode gone. [T, C, N, O] -> [T, C, N * O + 1]."""
  horizon, copies = obs.shape[:2]
  time = jnp.broadcast_to((jnp.arange(horizon) / horizon)[:, None, None], (horizon, copies, 1))
  return jnp.concatenate([obs.reshape(horizon, copies, -1), time], axis=-1)


def play(game: Game, actors: tuple, key: jax.Array, copies: int) -> tuple[Played, ...]:
  """Whole episodes in `copies` tasks at once, one Played for each team."""
  key_reset, key_steps = jax.random.split(key)
  state = jax.vmap(game.reset)(jax.random.split(key_reset, copies))

  def one_step(state, key):
    key_task, *key_teams = jax.random.split(key, len(actors) + 1)
    seen, played = jax.vmap(game.observe)(state), []
    for actor, obs, key_team in zip(actors, seen, key_teams, strict=True):
      mean = mean_action(actor, obs)
      action = mean + jnp.exp(actor["log_std"]) * jax.random.normal(key_team, mean.shape)
      played.append(Played(obs, action, log_density(actor, mean, action), None))
    clipped = tuple(jnp.clip(team.action, -1.0, 1.0) for team in played)
    state, rewards = jax.vmap(game.step)(state, clipped, jax.random.split(key_task, copies))
    return state, tuple(team._replace(reward=reward) for team, reward in zip(played, rewards, strict=True))

  return jax.lax.scan(one_step, state, jax.random.split(key_steps, game.horizon))[1]


def advantages(reward, value, gamma, trace):
  """Generalised advantages; nothing follows the last step, whose time the critic knows. [T, C, N] -> [T, C, N]."""
  following = jnp.concatenate([value[1:], jnp.zeros_like(value[:1])])
  return summed_back(reward + gamma * following - value, gamma * trace)


def summed_back(delta: jax.Array, decay: jax.Array | float) -> jax.Array:
  """A_t = delta_t + decay_t A_{t+1}, nothing after the last: arXiv:1506.02438 equation 16. [T, ...] -> [T, ...]."""

  def one_step(later, now):
    delta, decay = now
    later = delta + decay * later
    return later, later

  return jax.lax.scan(one_step, jnp.zeros_like(delta[0]), (delta, jnp.broadcast_to(decay, delta.shape)), reverse=True)[
    1
  ]


def ppo_loss(params, batch, config, policy=mean_action):
  """Clipped surrogate - entropy bonus + squared value error, over a minibatch of copies' steps [B, N, ...]."""
  actor, critic = params
  obs, inputs, action, log_prob, advantage, target = batch
  ratio = jnp.exp(log_density(actor, policy(actor, obs), action) - log_prob)
  surrogate = jnp.minimum(ratio * advantage, jnp.clip(ratio, 1 - config.clip, 1 + config.clip) * advantage)
  entropy = jnp.mean(jnp.sum(actor["log_std"], axis=-1))
  value_error = jnp.mean(jnp.square(mlp(critic, inputs) - target))
  return -jnp.mean(surrogate) - config.entropy * entropy + value_error


def learn(team: Team, played: Played, key: jax.Array, config: Config, optimizer, log_std_bound: jax.Array) -> Team:
  """A few epochs over what was played; the log standard deviation stays under its bound."""
  inputs = critic_inputs(played.obs)
  value = mlp(team.critic, inputs)
  advantage = advantages(played.reward * config.reward_scale, value, config.gamma, config.trace)
  target = value + advantage
  advantage = (advantage - jnp.mean(advantage)) / (jnp.std(advantage) + 1e-6)
  data = (played.obs, inputs, played.action, played.log_prob, advantage, target)
  return descend(team, data, key, config, optimizer, log_std_bound)


def descend(team: Team, data, key: jax.Array, config: Config, optimizer, log_std_bound, policy=mean_action) -> Team:
  """Epochs of ppo_loss over data, its rows [T, C, ...] shuffled into minibatches. policy: actor, obs -> mean action."""
  steps = data[0].shape[0] * data[0].shape[1]
  data = jax.tree.map(lambda x: x.reshape(steps, *x.shape[2:]), data)

  def one_minibatch(carry, rows):
    params, state = carry
    grads = jax.grad(ppo_loss)(params, jax.tree.map(lambda x: x[rows], data), config, policy)
    updates, state = optimizer.update(grads, state, params)
    actor, critic = optax.apply_updates(params, updates)
    actor = {**actor, "log_std": jnp.minimum(actor["log_std"], log_std_bound)}
    return ((actor, critic), state), None

  def one_epoch(carry, key):
    rows = jax.random.permutation(key, steps).reshape(config.minibatches, -1)
    return jax.lax.scan(one_minibatch, carry, rows)

  start = ((team.actor, team.critic), team.optimizer)
  ((actor, critic), state), _ = jax.lax.scan(one_epoch, start, jax.random.split(key, config.epochs))
  return Team(actor, critic, state)
