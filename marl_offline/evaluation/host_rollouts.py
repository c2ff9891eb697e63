"""Episodes of policies in an environment on the host: all seeds and episodes step together, one jitted act a step."""

import jax
import jax.numpy as jnp
import numpy as np

from marl_offline.environments.api import HostEnvironment
from marl_offline.types import Learner


def evaluator(environment: HostEnvironment, learner: Learner, num_episodes: int, key_number: int):
  """states [seeds, ...] -> returns [seeds, episodes] float32, greedy: mean_i sum_t r_i,t of each episode.

  Every seed begins from the same worlds, which key_number fixes, and acts with the same keys. An episode that is over
  is stepped no more; one whose policy answers something that is not finite ends there, and its return is nan.
  """

  @jax.jit
  def act(states, memory, obs, step):
    keys = jax.random.split(jax.random.fold_in(jax.random.key(key_number), step), num_episodes)
    episodes = jax.vmap(learner.act, in_axes=(None, 0, 0, 0))
    return jax.vmap(episodes, in_axes=(0, 0, 0, None))(states, memory, obs, keys)

  def run(states):
    both = len(jax.tree.leaves(states)[0]), num_episodes
    world = environment.reset(np.random.default_rng(key_number), num_episodes)
    world = _rows(world, np.tile(np.arange(num_episodes), both[0]))
    memory = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (*both, *jnp.shape(leaf))), learner.memory)
    obs = environment.observe(world).astype(np.float32)  # [seeds * episodes, N, O], as are rows of what follows
    returns, playing = np.zeros(len(obs)), np.arange(len(obs))  # world holds the rows that are still playing
    for step in range(environment.horizon):
      action, memory = act(states, memory, obs.reshape(*both, *obs.shape[1:]), step)
      action = np.asarray(action).reshape(len(obs), *action.shape[2:])[playing]
      sane = np.isfinite(action).all(axis=(1, 2))
      returns[playing[~sane]] = np.nan
      playing, world, action = playing[sane], _rows(world, sane), action[sane]
      if not playing.size:
        break
      world, *told = environment.step(world, action)
      reward, *ends = checked(environment, len(playing), *told)
      returns[playing] += reward.mean(axis=1)
      obs[playing] = environment.observe(world)
      going_on = ~(ends[0] | ends[1])
      playing, world = playing[going_on], _rows(world, going_on)
    return returns.reshape(both).astype(np.float32)

  return run


def checked(environment: HostEnvironment, count: int, reward, terminated, truncated) -> tuple[np.ndarray, ...]:
  """What a step of `count` worlds gives, as it is wanted: reward [B, N], of a shared one [B] too; both ends bool [B].

  Raises:
    ValueError: other shapes; the sentence names the environment.
  """
  reward, ends = np.asarray(reward), [np.asarray(end) for end in (terminated, truncated)]
  shared, wanted = (count,), (count, environment.num_agents)
  if reward.shape not in (shared, wanted) or any(end.shape != shared for end in ends):
    shapes = f"reward {reward.shape}, terminated {ends[0].shape} and truncated {ends[1].shape}"
    raise ValueError(f"a step of {environment.name} gave {shapes}; wanted are {list(wanted)}, [{count}] and [{count}]")
  reward = np.broadcast_to(reward.reshape(count, -1), wanted)
  return reward, *(end.astype(bool) for end in ends)  # ~ of a number is no negation


def record_episode(
  environment: HostEnvironment, learner: Learner, state, episode: int, num_episodes: int, key_number: int
):
  """One of evaluator's num_episodes to look at: worlds stacked over time [t+1, ...], reward [t, N], cut where it ended.

  state: of one seed. An action that is not finite changes nothing, earns nan and ends the episode.
  """

  @jax.jit
  def act(memory, obs, step):
    keys = jax.random.split(jax.random.fold_in(jax.random.key(key_number), step), num_episodes)
    return learner.act(state, memory, obs, keys[episode])

  world = _rows(environment.reset(np.random.default_rng(key_number), num_episodes), slice(episode, episode + 1))
  memory, worlds, rewards, over = learner.memory, [world], [], False
  while not over and len(rewards) < environment.horizon:
    action, memory = act(memory, environment.observe(world)[0].astype(np.float32), len(rewards))
    if np.isfinite(action).all():
      world, *told = environment.step(world, np.asarray(action)[None])
      reward, terminated, truncated = checked(environment, 1, *told)
      over = bool(terminated[0] | truncated[0])
    else:
      reward, over = np.full((1, environment.num_agents), np.nan), True
    worlds.append(world)
    rewards.append(reward[0])
  return jax.tree.map(lambda *leaves: np.concatenate(leaves), *worlds), np.array(rewards)


def _rows(world, which):
  """Rows of every array of a World, by indices, a mask or a slice."""
  return jax.tree.map(lambda leaf: leaf[which], world)
