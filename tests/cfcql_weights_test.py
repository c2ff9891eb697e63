"""CFCQL with agent weights: first the model of the behavior learns, then everything else does."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from marl_offline import losses
from marl_offline.algorithms import cfcql
from marl_offline.parts import joint_critic, proposals
from marl_offline.types import Proposals
from tests import games

SPEC = games.tiny_spec()
SMALL = {"hidden_size": 8, "batch_size": 16, "num_proposals": 2, "behavior_hidden_size": 8, "density_samples": 3}


def learner_of(**changes):
  return cfcql.make(SPEC, dataclasses.replace(cfcql.Config(), **SMALL, **changes))


def equal(first, second):
  return all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True))


def test_each_phase_leaves_the_others_parameters_as_they_are():
  learner = learner_of(agent_weights="softmax", behavior_updates=3)
  update, state = jax.jit(learner.update), jax.jit(learner.init)(jax.random.key(0))
  seen = []
  for step in range(8):
    before = state
    key = jax.random.fold_in(jax.random.key(1), step)
    state, metrics = update(state, games.random_batch(SPEC, key), key, step)
    parts = (state.behavior, before.behavior), (state.learned, before.learned)
    moved = [not equal(now, then) for now, then in parts]
    named = [float(metrics[name]) != 0 for name in ("behavior_error", "penalty", "lambda_1", "actor_grad_norm")]
    targets = not equal(state.learned.target_critics, before.learned.target_critics)
    seen.append((*moved, *named, targets))
  fitting = (True, False, True, False, False, False, False)
  learning = (False, True, False, True, True, False, False)
  with_actors = (False, True, False, True, True, True, False)  # the first step that learns
  with_targets = (False, True, False, True, True, False, True)  # the fifth
  assert seen == 3 * [fitting] + [with_actors] + 3 * [learning] + [with_targets]
  np.testing.assert_allclose(sum(metrics[f"lambda_{i}"] for i in (1, 2, 3)), 1.0, rtol=1e-5)
  assert np.isfinite([metrics[f"log_density_{i}"] for i in (1, 2, 3)]).all()


@pytest.mark.parametrize("agent_weights", ["softmax", "one_hot"])
def test_an_update_meets_the_weights_of_its_own_densities(agent_weights, monkeypatch):
  """A density put in the place of the model's; the critics' step is that of the weights that it gives at the actions of
  the online policies."""
  density = lambda params, state, action, key: 300 * action[..., 0]  # noqa: E731
  build = cfcql.behavior.build
  monkeypatch.setattr(cfcql.behavior, "build", lambda *a: build(*a)._replace(log_density=density))
  recorded = jax.random.uniform(jax.random.key(6), (16, 2, 3, 2), minval=-1.0)
  propose = lambda *_: Proposals(recorded, jnp.full((16, 2, 3), 2 * np.log(0.5)))  # noqa: E731
  monkeypatch.setitem(proposals.PROPOSALS, "uniform", propose)
  monkeypatch.setattr(joint_critic, "smoothed", lambda action, *_: action)
  learner = learner_of(agent_weights=agent_weights, temperature=2.0, behavior_updates=1)
  state, other = (jax.jit(learner.init)(jax.random.key(seed)) for seed in (0, 7))
  state = state.replace(learned=state.learned.replace(target_actors=other.learned.actors))
  batch = games.random_batch(SPEC, jax.random.key(1))
  after, metrics = jax.jit(learner.update)(state, batch, jax.random.key(2), 2)
  net = joint_critic.build(SPEC, dataclasses.replace(cfcql.Config(), **SMALL))
  log_behavior = density(None, None, net.actor(state.learned.actors, batch.obs), None)  # [B, N]
  weight = {
    "softmax": jax.nn.softmax(-2.0 * log_behavior, axis=-1),
    "one_hot": jnp.eye(3)[jnp.argmin(log_behavior, axis=-1)],
  }[agent_weights]
  assert np.std(weight) > 0.1
  np.testing.assert_allclose([metrics[f"lambda_{i}"] for i in (1, 2, 3)], weight.mean(axis=0), rtol=1e-5)
  gap = losses.counterfactual_gap
  monkeypatch.setattr(losses, "counterfactual_gap", lambda q_ood, p, q, _: gap(q_ood, p, q, weight))
  expected, _ = jax.jit(learner_of().update)(state.learned, batch, jax.random.key(3), 1)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), after.learned.critics, expected.critics
  )


@pytest.mark.parametrize(
  "field, value",
  [("agent_weights", "even"), ("target", "none"), ("policy_gradient", "both"), ("temperature", -1.0),
   ("behavior_updates", 0), ("behavior_hidden_size", 0), ("density_samples", 0), ("behavior_learning_rate", 0.0)],
)  # fmt: skip
def test_make_refuses_what_cannot_train(field, value):
  with pytest.raises(ValueError, match=f"{field}={value} must"):
    cfcql.make(SPEC, dataclasses.replace(cfcql.Config(), **{field: value}))


def test_a_policy_acts_from_either_kind_of_state():
  uniform, softmax = learner_of(), learner_of(agent_weights="softmax")
  state = jax.jit(softmax.init)(jax.random.key(0))
  obs = jnp.ones((3, 4))
  action, memory = softmax.act(state, softmax.memory, obs, jax.random.key(1))
  np.testing.assert_array_equal(action, uniform.act(state.learned, memory, obs, jax.random.key(1))[0])
