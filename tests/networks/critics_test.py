"""The shared first layer and the closed-form statistics against inputs written out row by row."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from marl_offline import joint_actions
from marl_offline.networks.critics import CRITICS
from marl_offline.networks.input_statistics import STANDARDIZERS, Standardizers

B, Q, M, N, A, S, H = 12, 4, 5, 3, 2, 7, 8
CLOSE = {"rtol": 1e-5, "atol": 4e-5}  # the gradients are of order 10


def naive(params, normalization, rows):
  """Q of rows [R, S + N * A] in one forward pass."""
  p = params["params"]
  if normalization == "batch":
    rows = (rows - rows.mean(0)) / jnp.sqrt(rows.var(0) + 1e-5) * p["input_scale"] + p["input_offset"]
  x = rows
  for i in range(2):
    x = x @ p[f"weight_{i}"] + p[f"bias_{i}"]
    if normalization == "layer":
      x = (x - x.mean(-1, keepdims=True)) / jnp.sqrt(x.var(-1, keepdims=True) + 1e-5)
      x = x * p["layer_scale"][i] + p["layer_offset"][i]
    x = jax.nn.relu(x)
  return (x @ p["weight_2"] + p["bias_2"])[:, 0]


def written_out(state, action):
  """[B, S], [B, ..., N, A] -> rows [B * ..., S + N * A]."""
  flat = joint_actions.flatten(action)
  state = jnp.broadcast_to(state.reshape(B, *(1,) * (flat.ndim - 2), S), (*flat.shape[:-1], S))
  return jnp.concatenate([state, flat], -1).reshape(-1, S + N * A)


@functools.cache
def inputs():
  keys = jax.random.split(jax.random.key(0), 4)
  state = 2.0 * jax.random.normal(keys[0], (B, S)) + 1.0
  action = jax.random.uniform(keys[1], (B, N, A))  # not centred
  queries = jax.random.uniform(keys[2], (B, Q, N, A), minval=-1.0)
  return state, action, queries, jax.random.uniform(keys[3], (B, M, N, A), minval=-1.0)


@functools.cache
def make(normalization):
  """Passes as losses run them: queries, proposed and counterfactual of parameters and raw arrays; and parameters."""
  state, _, queries, _ = inputs()
  critic = CRITICS[normalization](S, N, A, H)
  params = jax.jit(critic.init)(jax.random.key(1), state, queries)
  # away from the trivial scale 1 and offset 0
  params = jax.tree.map(lambda x: np.asarray(x) + 0.1 * np.cos(np.arange(x.size, dtype="f")).reshape(x.shape), params)

  def of_pass(standardize, method):
    return lambda params, *raw: critic.apply(params, *standardize(*raw), method=method)

  return Standardizers(*map(of_pass, STANDARDIZERS[normalization], ("__call__", "__call__", "counterfactual"))), params


def check_same(fast, slow, *arguments):
  """Values, and gradients of a curved sum with respect to every argument."""

  def value_and_gradient(function):
    def loss(*x):
      value = function(*x)
      return jnp.sum(jnp.sin(value)), value

    return jax.grad(loss, argnums=tuple(range(len(arguments))), has_aux=True)

  both = jax.jit(lambda *x: (value_and_gradient(fast)(*x), value_and_gradient(slow)(*x)))(*arguments)
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **CLOSE), *both)


@pytest.mark.parametrize("normalization", CRITICS)
def test_counterfactuals_equal_rows_written_out(normalization):
  critic, params = make(normalization)
  state, action, _, proposals = inputs()

  def slow(params, state, action, proposals):
    rows = jax.vmap(joint_actions.counterfactual)(action, proposals)  # [B, M, N, N, A]
    return naive(params, normalization, written_out(state, rows)).reshape(B, M, N)

  check_same(critic.counterfactual, slow, params, state, action, proposals)


@pytest.mark.parametrize("normalization", CRITICS)
def test_each_query_is_its_own_pass(normalization):
  critic, params = make(normalization)
  state, _, queries, _ = inputs()

  def slow(params, state, queries):
    one_query = lambda action: naive(params, normalization, written_out(state, action))  # noqa: E731
    return jax.vmap(one_query, in_axes=1, out_axes=1)(queries)

  check_same(critic.queries, slow, params, state, queries)


@pytest.mark.parametrize("normalization", CRITICS)
def test_joint_proposals_are_one_pass(normalization):
  critic, params = make(normalization)
  state, _, _, proposals = inputs()

  def slow(params, state, proposals):
    return naive(params, normalization, written_out(state, proposals)).reshape(B, M)

  check_same(critic.proposed, slow, params, state, proposals)


def test_batch_statistics_forgive_any_scale_of_the_data():
  critic, params = make("batch")
  state, _, queries, _ = inputs()
  value = critic.queries(params, state, queries)
  np.testing.assert_allclose(critic.queries(params, 100.0 * state - 30.0, queries), value, atol=1e-3)


def test_a_feature_that_never_changes_is_harmless():
  critic, params = make("batch")
  state, _, queries, _ = inputs()
  state = state.at[:, 0].set(3.0)
  gradient = jax.grad(lambda p: jnp.sum(critic.queries(p, state, queries)))(params)
  assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(gradient))


def test_rows_of_another_batch_are_refused_and_half_precision_stays_half():
  state, action, queries, proposals = inputs()
  critic = CRITICS["data"](S, N, A, H)
  params = critic.init(jax.random.key(0), state, queries)
  for wrong in (jnp.tile(queries, (2, 1, 1, 1)), queries.swapaxes(0, 1), queries.swapaxes(2, 3)):
    with pytest.raises(AssertionError):
      critic.apply(params, state, wrong)
  with pytest.raises(AssertionError):
    critic.apply(params, state, action, proposals.swapaxes(0, 1), method="counterfactual")
  with pytest.raises(AssertionError):
    critic.apply(params, state, action[:1], proposals, method="counterfactual")
  params, state, action, queries, proposals = jax.tree.map(
    lambda x: x.astype(jnp.bfloat16), (params, state, action, queries, proposals)
  )
  assert critic.apply(params, state, queries).dtype == jnp.bfloat16
  assert critic.apply(params, state, action, proposals, method="counterfactual").dtype == jnp.bfloat16
