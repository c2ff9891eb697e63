"""One critic and one actor step of CFCQL and MACQL against arrays computed by their released code.

Folder from MARL_GOLDEN_DIR. Raw gradients (no learning rate, no clipping) and losses to 1e-5. Two conventions differ
and are put back here: the released penalties lack the constant - log M, and one BatchNorm serves both critics there,
so that its gradient is the sum over our members'.
"""

import os
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from marl_offline import joint_actions, losses
from marl_offline.algorithms import cfcql, macql
from marl_offline.parts import joint_critic, proposals
from marl_offline.types import Normalizer, Proposals, Spec, Transition

FOLDER = pathlib.Path(os.environ.get("MARL_GOLDEN_DIR") or pathlib.Path(__file__).parent / "golden")
ALPHA, GAMMA = 0.7, 0.95
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


def load(name):
  with np.load(FOLDER / f"{name}.npz") as arrays:
    return dict(arrays)


def batch_and_spec(gold):
  num_agents, obs_size = gold["obs"].shape[1:]
  flat = [gold[name].reshape(len(gold[name]), -1) for name in ("obs", "next_obs")]
  state, next_state = gold.get("state", flat[0]), gold.get("next_state", flat[1])
  batch = Transition(
    state, gold["obs"], gold["action"], gold["reward"], np.repeat(gold["reward"][:, None], num_agents, axis=1),
    1.0 - gold["done"], next_state, gold["next_obs"], gold["next_action"],
  )  # fmt: skip
  normalizer = Normalizer.identity(num_agents, obs_size, state.shape[1])
  return batch, Spec(num_agents, obs_size, gold["action"].shape[2], state.shape[1], normalizer)


def critic_params(gold, prefix):
  """Members 1 and 2 of the original, layers fc1-fc3 and fc4-fc6, stacked on axis E."""

  def member(first):
    params = {f"weight_{i}": gold[f"{prefix}/fc{first + i}.weight"].T for i in range(3)}
    params |= {f"bias_{i}": gold[f"{prefix}/fc{first + i}.bias"] for i in range(3)}
    if f"{prefix}/in_fn.weight" in gold:
      params |= {"input_scale": gold[f"{prefix}/in_fn.weight"], "input_offset": gold[f"{prefix}/in_fn.bias"]}
    return params

  return {"params": jax.tree.map(lambda *leaves: np.stack(leaves), member(1), member(4))}


def actor_params(gold, prefix, num_agents):
  """All policies, stacked on axis N. The input normalisation of cfcql_batchnorm is kept apart."""

  def policy(i):
    layers = {f"Linear_{j}": {"weight": gold[f"{prefix}_{i}/fc{j + 1}.weight"].T,
                              "bias": gold[f"{prefix}_{i}/fc{j + 1}.bias"]} for j in range(3)}  # fmt: skip
    if f"{prefix}_{i}/in_fn.weight" in gold:
      layers["in_fn"] = {"scale": gold[f"{prefix}_{i}/in_fn.weight"], "offset": gold[f"{prefix}_{i}/in_fn.bias"]}
    return layers

  params = jax.tree.map(lambda *leaves: np.stack(leaves), *[policy(i) for i in range(num_agents)])
  return {"params": {k: v for k, v in params.items() if k != "in_fn"}} | {k: params[k] for k in params if k == "in_fn"}


def with_input_norm(actor):
  """The released policies' own BatchNorm over the batch, which this library replaces by fixed statistics."""

  def play(actors, obs):
    if "in_fn" in actors:
      mean, variance = jnp.mean(obs, 0), jnp.var(obs, 0)
      obs = (obs - mean) / jnp.sqrt(variance + 1e-5) * actors["in_fn"]["scale"] + actors["in_fn"]["offset"]
    return actor({"params": actors["params"]}, obs)

  return play


def setting(name):
  gold = load(name)
  batch, spec = batch_and_spec(gold)
  normalization = "batch" if "critic/in_fn.weight" in gold else "data"
  config = cfcql.Config(hidden_size=gold["critic/fc2.weight"].shape[0], normalization=normalization)
  net = joint_critic.build(spec, config)
  net = net._replace(actor=with_input_norm(net.actor))
  policy = net.actor(actor_params(gold, "target_policy", spec.num_agents), batch.next_obs) + gold["target_noise"]
  return gold, batch, spec, net, jnp.clip(policy, -1.0, 1.0)


def uniform_proposals(gold):
  action = gold["uniform_actions"]
  return Proposals(action, np.full(action.shape[:-1], action.shape[-1] * np.log(0.5), np.float32))


def joint_target(gold, batch, net, policy):
  following = net.inputs.queries(batch.next_state, policy[:, None])
  next_q = net.critic(critic_params(gold, "target_critic"), *following)[..., 0]
  return losses.minimum_target(batch.reward, GAMMA * batch.discount, next_q)


def check_critic(gold, batch, net, target, gaps, num_proposals):
  """gaps: critics, q_data [E, B] -> gap [E, B]."""

  def loss(critics):
    q = net.critic(critics, *net.inputs.queries(batch.state, batch.action[:, None]))[..., 0]
    gap = gaps(critics, q)
    penalty = ALPHA * jnp.sum(jnp.mean(gap, axis=1))
    return jnp.sum(jnp.mean(jnp.square(q - target), axis=1)) + penalty, (penalty, q)

  (total, (penalty, q)), gradient = jax.jit(jax.value_and_grad(loss, has_aux=True))(critic_params(gold, "critic"))
  missing = 2 * ALPHA * np.log(num_proposals)  # the constant that the original leaves in, for both members
  np.testing.assert_allclose(total + missing, gold["log/vf_loss"], **CLOSE)
  np.testing.assert_allclose(penalty + missing, gold["log/cql_term"], **CLOSE)
  np.testing.assert_allclose(np.mean(q), gold["log/dataset_q_vals"], **CLOSE)
  expected = critic_params({k.replace("critic_grad", "g"): v for k, v in gold.items() if "critic_grad" in k}, "g")
  for key, leaf in gradient["params"].items():
    shared = key.startswith("input_")
    np.testing.assert_allclose(
      leaf.sum(0) if shared else leaf, expected["params"][key][0] if shared else expected["params"][key], **CLOSE
    )


def check_actor(gold, batch, spec, net):
  actors = actor_params(gold, "policy", spec.num_agents)
  loss_fn = lambda actors: joint_critic.actor_loss(net, actors, critic_params(gold, "critic"), batch, 1e-3)  # noqa: E731
  loss, gradient = jax.jit(jax.value_and_grad(loss_fn))(actors)
  np.testing.assert_allclose(loss, gold["policy_loss"], **CLOSE)
  expected = actor_params(gold, "policy_grad", spec.num_agents)
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **CLOSE), gradient, expected)


@pytest.mark.parametrize("name", ["cfcql_uniform_only", "cfcql_batchnorm"])
def test_cfcql(name):
  gold, batch, spec, net, policy = setting(name)
  ood = uniform_proposals(gold)

  def gaps(critics, q):
    q_ood = net.counterfactual(critics, *net.inputs.counterfactual(batch.state, batch.action, ood.action))
    return losses.counterfactual_gap(q_ood, ood.log_prob, q, 1 / spec.num_agents)

  check_critic(gold, batch, net, joint_target(gold, batch, net, policy), gaps, ood.action.shape[1])
  check_actor(gold, batch, spec, net)


def test_cfcql_counterfactual_target():
  gold, batch, spec, net, policy = setting("cfcql_counterfactual_target")
  ood = uniform_proposals(gold)
  mixed = jax.vmap(joint_actions.replace_one)(batch.next_action, policy)
  next_q = net.critic(critic_params(gold, "target_critic"), *net.inputs.queries(batch.next_state, mixed))
  target = losses.counterfactual_target(batch.reward, GAMMA * batch.discount, next_q)

  def gaps(critics, q):
    q_ood = net.counterfactual(critics, *net.inputs.counterfactual(batch.state, batch.action, ood.action))
    return losses.counterfactual_gap(q_ood, ood.log_prob, q, 1 / spec.num_agents)

  check_critic(gold, batch, net, target, gaps, ood.action.shape[1])
  check_actor(gold, batch, spec, net)


def test_macql():
  gold, batch, spec, net, policy = setting("macql_uniform_only")
  ood = uniform_proposals(gold)

  def gaps(critics, q):
    q_ood = net.critic(critics, *net.inputs.proposed(batch.state, ood.action))
    return jax.vmap(losses.joint_gap, in_axes=(0, None, 0))(q_ood, ood.log_prob.sum(-1), q)

  check_critic(gold, batch, net, joint_target(gold, batch, net, policy), gaps, ood.action.shape[1])
  check_actor(gold, batch, spec, net)


def test_cfcql_three_sources():
  """With the original's two quirks handed in from here: the densities of its two policy sources are swapped, and the
  source at next_obs stands beside the others' next_action."""
  gold, batch, spec, net, policy = setting("cfcql_three_sources")
  actors = actor_params(gold, "policy", spec.num_agents)

  def around(obs, noise):
    return jnp.clip(net.actor(actors, obs)[:, None] + noise, -1.0, 1.0)

  def log_prob(noise):
    return jax.scipy.stats.norm.logpdf(noise, scale=0.2).sum(-1)

  now_noise, next_noise = gold["current_policy_noise"], gold["next_policy_noise"]
  uniform = uniform_proposals(gold)
  beside_data = jnp.concatenate([uniform.action, around(batch.obs, now_noise)], axis=1)
  beside_next = around(batch.next_obs, next_noise)
  swapped = jnp.concatenate([uniform.log_prob, log_prob(next_noise), log_prob(now_noise)], axis=1)

  def gaps(critics, q):
    beside = ((batch.action, beside_data), (batch.next_action, beside_next))
    q_ood = [net.counterfactual(critics, *net.inputs.counterfactual(batch.state, *actions)) for actions in beside]
    return losses.counterfactual_gap(jnp.concatenate(q_ood, axis=2), swapped, q, 1 / spec.num_agents)

  check_critic(gold, batch, net, joint_target(gold, batch, net, policy), gaps, swapped.shape[1])
  check_actor(gold, batch, spec, net)


@pytest.mark.parametrize(
  "name, module, changes",
  [
    ("cfcql_uniform_only", cfcql, {}),
    ("cfcql_counterfactual_target", cfcql, {"target": "counterfactual"}),
    ("macql_uniform_only", macql, {}),
  ],
)
def test_the_shipped_update_meets_the_same_numbers(name, module, changes, monkeypatch):
  """make(...).update itself, with the recorded noise and proposals put in the place of its draws."""
  gold, batch, spec, _, policy = setting(name)
  monkeypatch.setitem(proposals.PROPOSALS, "uniform", lambda *_: uniform_proposals(gold))
  monkeypatch.setattr(joint_critic, "smoothed", lambda *_: policy)
  sizes = {"hidden_size": gold["critic/fc2.weight"].shape[0], "normalization": "data"}
  config = module.Config(**sizes, alpha=ALPHA, gamma=GAMMA, **changes)
  learner = module.make(spec, config)
  state = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), jax.eval_shape(learner.init, jax.random.key(0)))
  state = state.replace(
    critics=critic_params(gold, "critic"), target_critics=critic_params(gold, "target_critic"),
    actors=actor_params(gold, "policy", spec.num_agents),
  )  # fmt: skip
  _, metrics = jax.jit(learner.update)(state, batch, jax.random.key(0), 1)
  norm = np.sqrt(sum(np.sum(np.square(v)) for k, v in gold.items() if k.startswith("critic_grad")))
  np.testing.assert_allclose(metrics["critic_grad_norm"], norm, **CLOSE)
  np.testing.assert_allclose(
    ALPHA * 2 * (metrics["penalty"] + np.log(gold["uniform_actions"].shape[1])), gold["log/cql_term"], **CLOSE
  )
  np.testing.assert_allclose(2 * metrics["td_loss"], gold["log/vf_loss"] - gold["log/cql_term"], **CLOSE)
