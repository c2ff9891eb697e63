"""SPaCQL: Soft-Partial Conservative Q-Learning, arXiv:2511.07629 algorithm 1.

For every k = 1..N, k agents drawn at random act by their target policies at the next step while the others keep what
the data did; the more the critics disagree about that, the less it counts in the target. Penalty and policy gradient
are CFCQL's.
"""

import dataclasses

import jax
import jax.numpy as jnp

from marl_offline import joint_actions, losses
from marl_offline.parts import bootstrap, joint_critic
from marl_offline.parts.proposals import PROPOSALS
from marl_offline.types import Learner, Spec


@dataclasses.dataclass(frozen=True)
class Config:
  """The values of CFCQL's released code, as no paper prints any, and the paper's ten critics; alpha and
  learning_rate per task and quality are in experiments/hyperparameters.py."""

  gamma: float = 0.95
  tau: float = 0.01  # of the targets, once in actor_period critic updates
  learning_rate: float = 0.01  # of actors and critics
  max_grad_norm: float = 0.5  # of all critics together, of each actor by itself
  batch_size: int = 1024
  hidden_size: int = 64
  ensemble_size: int = 10
  alpha: float = 1.0  # weight of the conservative penalty
  actor_period: int = 5  # critic updates to one update of actors and targets
  num_proposals: int = 10  # for every agent, of each source
  proposals: str = "uniform"  # or three_sources
  proposal_noise: float = 0.2  # of three_sources
  target_noise: float = 0.05  # on the target policies' actions
  action_regularization: float = 1e-3
  normalization: str = "batch"  # of the critics' inputs; or data, layer
  sharpness: float = 1.0  # of the weights, u_k^-sharpness; 1 is the paper's, 0 weighs all k alike, 2 is the variance
  # u_k, absolute: of the members' Q's; relative: of how far each moves from the data's action; fixed: sqrt(k) whatever
  disagreement: str = "absolute"
  target: str = "minimum"  # over members, one target for all; or own: each member's by itself
  bootstrap: float = 1.0  # share of the rows that count in each member's loss, the same rows for good; 1: all
  exact_subsets: bool = False  # average over all sets of k agents instead of drawing one; for few agents


MAX_EXACT_AGENTS = 6  # 2**6 - 1 = 63 joint actions for every transition
DISAGREEMENTS = {"absolute": losses.disagreement, "relative": losses.relative_disagreement, "fixed": None}
TARGETS = {"minimum": losses.partial_replacement_target, "own": losses.own_partial_replacement_targets}


def make(spec: Spec, config: Config) -> Learner:
  """An ensemble of joint critics; targets mix all k by the members' agreement.

  Raises:
    ValueError: a field of config lies outside its range; the sentence names it, its value and the range.
  """
  joint_critic.check(config, spec)
  joint_critic.check_ranges(config, at_least_zero=("sharpness",))
  if not 0 < config.bootstrap <= 1:
    raise ValueError(f"bootstrap={config.bootstrap} must lie in (0, 1]")
  joint_critic.check_known(config, "disagreement", DISAGREEMENTS)
  joint_critic.check_known(config, "target", TARGETS)
  if config.exact_subsets and spec.num_agents > MAX_EXACT_AGENTS:
    raise ValueError(f"exact_subsets=True needs at most {MAX_EXACT_AGENTS} agents, not {spec.num_agents}")
  net = joint_critic.build(spec, config)
  propose = PROPOSALS[config.proposals]
  replace, share = partial_replacement(spec.num_agents, config.exact_subsets)
  if config.disagreement == "relative":
    replace, share = beside_the_data(replace, share)
  disagreement, mixed_target = of_each_k(config.disagreement, share), TARGETS[config.target]

  def update(state, batch, key, step):
    key_next, key_k, key_ood = jax.random.split(key, 3)
    policy = joint_critic.smoothed(net.actor(state.target_actors, batch.next_obs), key_next, config.target_noise)
    mixed = replace(key_k, batch.next_action, policy)  # [B, Q, N, A]
    following = net.inputs.queries(batch.next_state, mixed)
    u = disagreement(net.critic(state.critics, *following))  # [B, K], online members
    weight = losses.inverse_weights(u, config.sharpness)  # [B, K]
    next_q = net.critic(state.target_critics, *following)  # [E, B, Q], target members
    discount = config.gamma * batch.discount
    target = jnp.atleast_2d(mixed_target(batch.reward, discount, next_q, weight @ share))  # [1 or E, B]
    ood = propose(key_ood, net, state.actors, batch, config)
    masks = None if config.bootstrap == 1 else bootstrap.member_weights(batch, config.ensemble_size, config.bootstrap)
    state, metrics = joint_critic.counterfactual_step(
      net, state, batch, ood, target, losses.squared, config.alpha, member_weight=masks
    )
    metrics = metrics | {"target_mean": jnp.mean(target)} | mixture_metrics(weight, u)
    return joint_critic.actor_and_targets(net, state, metrics, batch, step, config)

  return Learner(net.init, update, joint_critic.greedy(net))


def partial_replacement(num_agents: int, exact_subsets: bool):
  """Which Q joint actions stand for k = 1..N, and how much each counts in its k.

  -> replace: key, data [B, N, A], policy [B, N, A] -> [B, Q, N, A], and share [K, Q] with rows summing to 1.
  Drawn: Q = K, one set of agents for every transition and k. Exact: Q = 2**N - 1, all sets; the target of k and u_k
  are then means over the sets of size k of the minimum over members, and of their disagreement.
  """
  if exact_subsets:
    every_subset = jax.vmap(joint_actions.replace_every_subset)
    return lambda key, data, policy: every_subset(data, policy), jnp.asarray(joint_actions.subset_shares(num_agents))

  def draw(key, data, policy):
    return jax.vmap(joint_actions.replace_each_k)(jax.random.split(key, data.shape[0]), data, policy)

  return draw, jnp.eye(num_agents)


def beside_the_data(replace, share):
  """The same joint actions after the data's own, which counts in no k: what relative_disagreement measures from."""

  def replace_beside(key, data, policy):
    return jnp.concatenate([data[:, None], replace(key, data, policy)], axis=1)  # [B, 1 + Q, N, A]

  return replace_beside, jnp.pad(share, ((0, 0), (1, 0)))


def of_each_k(kind: str, share: jax.Array):
  """q [E, B, Q] -> u_k [B, K]. fixed is the control: what independent disagreements about single agents add up to."""
  if kind == "fixed":
    root = jnp.sqrt(jnp.arange(1.0, len(share) + 1))
    return lambda q: jnp.broadcast_to(root, (q.shape[1], len(share)))
  return lambda q: DISAGREEMENTS[kind](q) @ share.T


def mixture_metrics(weight: jax.Array, u: jax.Array) -> dict[str, jax.Array]:
  """Batch means of w_k and u_k [B, K], and k_eff = sum_k k w_k."""
  mean_weight, mean_u = jnp.mean(weight, axis=0), jnp.mean(u, axis=0)
  sizes = jnp.arange(1, weight.shape[-1] + 1)
  named = {f"{name}_{k + 1}": mean[k] for name, mean in (("w", mean_weight), ("u", mean_u)) for k in range(sizes.size)}
  return named | {"k_eff": jnp.sum(sizes * mean_weight)}
