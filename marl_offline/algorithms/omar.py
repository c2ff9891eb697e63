"""OMAR: Offline Multi-Agent RL with Actor Rectification, arXiv:2111.11188 algorithm 1.

Critics are those of independent conservative Q-learning. Each policy climbs its own Q and is drawn to the best action
that a zeroth-order search finds in it.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp

from marl_offline import losses
from marl_offline.parts import independent, joint_critic
from marl_offline.parts.proposals import PROPOSALS
from marl_offline.parts.search import SEARCHES
from marl_offline.types import Learner, Spec


@dataclasses.dataclass(frozen=True)
class Config:
  """The released code's values; alpha and imitation_weight of each task are in experiments/hyperparameters.py."""

  gamma: float = 0.95  # the paper's text has 0.99, its code runs with 0.95
  tau: float = 0.01  # of the targets, once in actor_period critic updates
  learning_rate: float = 0.01  # of actors and critics
  max_grad_norm: float = 0.5  # of an agent's critics together, of each actor by itself
  batch_size: int = 1024
  hidden_size: int = 64
  ensemble_size: int = 2
  alpha: float = 1.0  # weight of the conservative penalty
  actor_period: int = 1  # critic updates to one update of actors and targets
  num_proposals: int = 10  # for every agent, of each source
  proposals: str = "uniform"  # or three_sources
  proposal_noise: float = 0.2  # of three_sources
  target_noise: float = 0.0  # on the target policies' actions; the paper's algorithm names one, its code has none
  action_regularization: float = 1e-3
  normalization: str = "batch"  # of the critics' inputs; or data, layer
  imitation_weight: float = 0.7  # of the distance to the best action found; Q has what is left to 1
  search: str = "soft"  # or elites: MuJoCo, with 2 rounds of 20 samples
  search_rounds: int = 3
  search_samples: int = 10  # in each round
  search_elites: int = 5  # of elites
  search_std: float = 2.0  # of the first round


def make(spec: Spec, config: Config) -> Learner:
  """Twin critics and a rectified policy for each agent.

  Raises:
    ValueError: a field of config lies outside its range; the sentence names it, its value and the range.
  """
  check(config, spec)
  net = independent.build(spec, config)
  propose, search = PROPOSALS[config.proposals], SEARCHES[config.search]

  def update(state, batch, key, step):
    key_next, key_ood, key_search = jax.random.split(key, 3)
    policy = joint_critic.smoothed(net.actor(state.target_actors, batch.next_obs), key_next, config.target_noise)
    next_q = net.critic(state.target_critics, batch.next_obs, policy[:, None])[:, :, 0]  # [E, B, N]
    discount = jnp.broadcast_to(config.gamma * batch.discount[:, None], batch.agent_reward.shape)
    target = losses.minimum_target(batch.agent_reward, discount, next_q)  # [B, N]
    ood = propose(key_ood, net, state.actors, batch, config)
    state, metrics = independent.critic_step(net, state, batch, ood, target, config.alpha)

    def actor_loss(actors, critics):
      def q_of(action):
        return independent.first_q(net, critics, batch.obs, action)  # [B, M, N, A] -> [B, M, N]

      action = net.actor(actors, batch.obs)[:, None]  # [B, 1, N, A]
      q = q_of(action)
      found, found_q = search(key_search, q_of, batch.action.shape, config)
      best = losses.best_proposal(jnp.concatenate([action, found], 1), jnp.concatenate([q, found_q], 1))  # [B, N, A]
      action, climb = action[:, 0], losses.individual_objective(q[:, 0])
      c, near = config.imitation_weight, losses.imitation(action, best)
      return jnp.mean(c * near + (1 - c) * climb + config.action_regularization * losses.action_penalty(action))

    metrics = metrics | {"target_mean": jnp.mean(target)}
    return independent.actor_and_targets(net, state, metrics, actor_loss, step, config)

  return Learner(net.init, update, joint_critic.greedy(net))


def check(config: Config, spec: Spec) -> None:
  """Refuses what cannot train, in one sentence."""
  joint_critic.check(config, spec)
  for name in ("search_rounds", "search_samples"):
    if getattr(config, name) < 1:
      raise ValueError(f"{name}={getattr(config, name)} must be at least 1")
  if config.search not in SEARCHES:
    raise ValueError(f"search={config.search} must be one of {sorted(SEARCHES)}")
  if config.search == "elites" and not 2 <= config.search_elites <= config.search_samples:
    raise ValueError(f"search_elites={config.search_elites} must lie in 2..search_samples={config.search_samples}")
  if not 0 <= config.imitation_weight <= 1:
    raise ValueError(f"imitation_weight={config.imitation_weight} must lie in [0, 1]")
  if not 0 < config.search_std < math.inf:
    raise ValueError(f"search_std={config.search_std} must be greater than 0 and finite")
