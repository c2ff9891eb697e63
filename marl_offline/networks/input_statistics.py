"""Standardises a critic's inputs by the rows at hand, for every forward pass, in targets too.

So CFCQL's released code trains (its papers do not say it: a BatchNorm on the inputs that stays in training mode), and
learning depends on it. Biased variance; gradient flows through the statistics; no running averages, as a critic never
acts. No parameter has a part in it, so it is done once for all members, and the rows can then be cut into blocks.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from marl_offline.networks.critics import EPSILON


class Standardizers(NamedTuple):
  """Each takes what a kind of forward pass takes and gives it back standardised."""

  queries: Callable  # state [B, S], action [B, Q, N, A]: each of the Q queries is a pass of its own over B rows
  proposed: Callable  # state [B, S], proposals [B, M, N, A]: all B x M rows are one pass
  counterfactual: Callable  # state [B, S], action [B, N, A], proposals [B, M, N, A]: all B x M x N rows are one pass


def _moments(rows, axis):
  """Mean and 1 / standard deviation."""
  return jnp.mean(rows, axis), jax.lax.rsqrt(jnp.var(rows, axis) + EPSILON)


def _standardized(rows, axis):
  mean, rate = _moments(rows, axis)
  return (rows - mean) * rate


def _queries(state, action):
  return _standardized(state, 0), _standardized(action, 0)


def _proposed(state, proposals):
  return _standardized(state, 0), _standardized(proposals, (0, 1))


def _counterfactual(state, action, proposals):
  # in the pass, agent i's slot holds its proposals in one row of N and its data action in the other N - 1
  n = action.shape[-2]
  mean = (jnp.mean(proposals, (0, 1)) + (n - 1) * jnp.mean(action, 0)) / n  # [N, A]
  proposed, kept = jnp.mean(jnp.square(proposals - mean), (0, 1)), jnp.mean(jnp.square(action - mean), 0)
  rate = jax.lax.rsqrt((proposed + (n - 1) * kept) / n + EPSILON)
  return _standardized(state, 0), (action - mean) * rate, (proposals - mean) * rate


def _as_they_come(*inputs):
  return inputs


OF_THE_ROWS = Standardizers(_queries, _proposed, _counterfactual)
NONE = Standardizers(_as_they_come, _as_they_come, _as_they_come)
STANDARDIZERS = {"batch": OF_THE_ROWS, "data": NONE, "layer": NONE}  # the names of critics.CRITICS
