"""CFCQL, continuous: Counterfactual Conservative Q-Learning, arXiv:2309.12696.

Every agent's next action comes from its target policy; what is pushed down is one agent's action at a time, the others
acting as in the data. All agents' penalties count alike, as in the paper's results on the particle tasks (tau = 0), or
by how far each policy has left the data (equations 8 and 9): then a model of the behavior is fitted first.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp
from flax import struct

from marl_offline import losses
from marl_offline.parts import behavior, joint_critic, updates
from marl_offline.parts.proposals import PROPOSALS
from marl_offline.types import Learner, Spec


@dataclasses.dataclass(frozen=True)
class Config:
  """The values of CFCQL's released code, as no paper prints any; alpha and
  learning_rate per task and quality are in experiments/hyperparameters.py."""

  gamma: float = 0.95
  tau: float = 0.01  # of the targets, once in actor_period critic updates
  learning_rate: float = 0.01  # of actors and critics
  max_grad_norm: float = 0.5  # of all critics together, of each actor by itself
  batch_size: int = 1024
  hidden_size: int = 64
  ensemble_size: int = 2
  alpha: float = 1.0  # weight of the conservative penalty
  actor_period: int = 5  # critic updates to one update of actors and targets
  num_proposals: int = 10  # for every agent, of each source
  proposals: str = "uniform"  # or three_sources
  proposal_noise: float = 0.2  # of three_sources
  target_noise: float = 0.05  # on the target policies' actions
  action_regularization: float = 1e-3
  normalization: str = "batch"  # of the critics' inputs; or data, layer
  target: str = "all"  # who acts by policy in the target; counterfactual: one agent at a time, table 6's +CF_T
  policy_gradient: str = "counterfactual"  # or joint: all agents leave the data at once, table 6's -CF_P
  agent_weights: str = "uniform"  # or softmax, one_hot; the fields below are of these two
  temperature: float = 1.0  # of softmax: the paper's tau, which here is the targets' rate
  behavior_updates: int = 25_000  # the first of a run; as many rows as 100,001 batches of 256
  behavior_hidden_size: int = 750
  behavior_learning_rate: float = 1e-4
  density_samples: int = 20  # latents drawn for the density of an action


@struct.dataclass
class WeightedState:
  learned: joint_critic.TrainState  # still in the first behavior_updates
  behavior: behavior.BehaviorState  # still after them


def all_by_policy(net, critics, batch, policy, discount):
  """min_e Q_e(s', a') with every agent's action from its target policy, policy [B, N, A] -> target [B], Q [E, B]."""
  next_q = net.critic(critics, *net.inputs.queries(batch.next_state, policy[:, None]))[..., 0]  # [E, B]
  return losses.minimum_target(batch.reward, discount, next_q), next_q


def one_by_policy(net, critics, batch, policy, discount):
  """min_e mean_i Q_e(s', a_i', a_-i'), one agent at a time by policy, the others as in the data -> [B], [E, B, N].

  All B x N rows are one pass, as released: were each agent's a pass of its own, batch statistics would take out of it
  where that agent's policy lies and how far it reaches.
  """
  alone = net.inputs.counterfactual(batch.next_state, batch.next_action, policy[:, None])
  next_q = net.counterfactual(critics, *alone)[:, :, 0]  # [E, B, N]
  return losses.counterfactual_target(batch.reward, discount, next_q), next_q


TARGETS = {"all": all_by_policy, "counterfactual": one_by_policy}


def softmax(log_policy, log_behavior, config):
  """Equation 9. log_policy a number, log_behavior [B, N] -> [B, N]."""
  return losses.deviation_weights(log_policy, log_behavior, config.temperature)


def one_hot(log_policy, log_behavior, config):
  """Equation 8. log_policy a number, log_behavior [B, N] -> [B, N]."""
  del config
  return losses.most_deviating(log_policy, log_behavior)


AGENT_WEIGHTS = {"uniform": None, "softmax": softmax, "one_hot": one_hot}
POLICY_SD = 0.2  # of the Gaussian whose peak stands for pi_i at its own action: a constant, which cancels


def make(spec: Spec, config: Config) -> Learner:
  """Twin joint critics, counterfactual penalty, counterfactual policy gradient.

  Raises:
    ValueError: a field of config lies outside its range; the sentence names it, its value and the range.
  """
  check(config, spec)
  net = joint_critic.build(spec, config)
  propose, next_target = PROPOSALS[config.proposals], TARGETS[config.target]
  actor_loss = joint_critic.POLICY_GRADIENTS[config.policy_gradient]

  def improve(state, batch, key, step, agent_weight=None):
    key_next, key_ood = jax.random.split(key)
    policy = joint_critic.smoothed(net.actor(state.target_actors, batch.next_obs), key_next, config.target_noise)
    target, next_q = next_target(net, state.target_critics, batch, policy, config.gamma * batch.discount)  # [B]
    ood = propose(key_ood, net, state.actors, batch, config)

    state, metrics = joint_critic.counterfactual_step(
      net, state, batch, ood, target[None], losses.squared, config.alpha, agent_weight
    )
    metrics = metrics | {"target_mean": jnp.mean(target)}
    metrics = metrics | {"target_std": jnp.mean(losses.disagreement(next_q))}  # of the members that made the target
    return joint_critic.actor_and_targets(net, state, metrics, batch, step, config, actor_loss)

  if config.agent_weights == "uniform":
    return Learner(net.init, improve, joint_critic.greedy(net))
  return weighted(spec, config, net, improve)


def weighted(spec: Spec, config: Config, net: joint_critic.Net, improve) -> Learner:
  """improve with the agent weights of equation 8 or 9, after behavior_updates that fit the model of the behavior."""
  model = behavior.build(spec, config.behavior_hidden_size, config.behavior_learning_rate, config.density_samples)
  weigh = AGENT_WEIGHTS[config.agent_weights]
  log_policy = -spec.action_size * math.log(POLICY_SD * math.sqrt(2.0 * math.pi))

  def init(key):
    key_learned, key_behavior = jax.random.split(key)
    return WeightedState(net.init(key_learned), model.init(key_behavior))

  def update(state, batch, key, step):
    def fit(state):
      fitted, metrics = model.fit(state.behavior, batch, key)
      return state.replace(behavior=fitted), metrics

    def learn(state):
      key_density, key_improve = jax.random.split(key)
      action = net.actor(state.learned.actors, batch.obs)  # [B, N, A], all agents by policy
      log_behavior = model.log_density(state.behavior.params, batch.state, action, key_density)  # [B, N]
      weight = weigh(log_policy, log_behavior, config)  # [B, N]
      learned, metrics = improve(state.learned, batch, key_improve, step - config.behavior_updates, weight)
      return state.replace(learned=learned), metrics | weight_metrics(weight, log_behavior)

    return updates.in_two_phases(config.behavior_updates, step, fit, learn, state)

  def act(state, memory, obs, key):
    return joint_critic.greedy(net)(state.learned, memory, obs, key)

  return Learner(init, update, act)


def weight_metrics(weight: jax.Array, log_behavior: jax.Array) -> dict[str, jax.Array]:
  """Batch means of lambda_i and log mu_i, both [B, N]."""
  of_agents = (("lambda", jnp.mean(weight, axis=0)), ("log_density", jnp.mean(log_behavior, axis=0)))
  return {f"{name}_{i + 1}": mean[i] for name, mean in of_agents for i in range(mean.size)}


def check(config: Config, spec: Spec) -> None:
  """joint_critic.check, and the fields that are CFCQL's alone."""
  joint_critic.check(config, spec)
  for name, known in (
    ("target", TARGETS),
    ("policy_gradient", joint_critic.POLICY_GRADIENTS),
    ("agent_weights", AGENT_WEIGHTS),
  ):
    if getattr(config, name) not in known:
      raise ValueError(f"{name}={getattr(config, name)} must be one of {sorted(known)}")
  for name in ("behavior_updates", "behavior_hidden_size", "density_samples"):
    if getattr(config, name) < 1:
      raise ValueError(f"{name}={getattr(config, name)} must be at least 1")
  if not 0 <= config.temperature < math.inf:
    raise ValueError(f"temperature={config.temperature} must be at least 0 and finite")
  if not 0 < config.behavior_learning_rate < math.inf:
    raise ValueError(f"behavior_learning_rate={config.behavior_learning_rate} must be greater than 0 and finite")
