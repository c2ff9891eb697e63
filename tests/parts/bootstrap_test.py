"""Masks by what a row holds: the same for good, independent of each other, of the share that was asked for."""

import jax
import numpy as np
import pytest

from marl_offline.parts import bootstrap
from tests import games

BATCH = games.random_batch(games.tiny_spec(), jax.random.key(0), 4000)


@pytest.mark.parametrize("kept", [0.5, 0.8])
def test_members_leave_out_rows_of_their_own(kept):
  weight = np.asarray(jax.jit(bootstrap.member_weights, static_argnums=1)(BATCH, 3, kept))
  assert weight.shape == (3, 4000)
  np.testing.assert_allclose(np.unique(weight), [0.0, 1 / kept], rtol=1e-6)
  np.testing.assert_allclose(weight.mean(axis=1), 1.0, atol=4 * np.sqrt((1 / kept - 1) / 4000))  # 4 standard errors
  np.testing.assert_allclose(np.corrcoef(weight), np.eye(3), atol=4 / np.sqrt(4000))


def test_a_row_keeps_its_masks_in_any_batch():
  order = np.random.default_rng(0).permutation(4000)[:100]
  some = jax.tree.map(lambda x: x[order], BATCH)
  alone, whole = (np.asarray(bootstrap.member_weights(batch, 3, 0.5)) for batch in (some, BATCH))
  np.testing.assert_array_equal(alone, whole[:, order])


def test_rows_that_differ_in_one_number_by_the_least_have_other_hashes():
  before = np.asarray(bootstrap.row_hash(BATCH))
  assert len(np.unique(before)) > 3990  # 2^32 values: a collision among 4,000 rows has a chance of 0.002
  nudged = np.nextafter(np.asarray(BATCH.action), 2.0)
  action = np.where(np.arange(nudged.size).reshape(nudged.shape) % nudged[0].size == 3, nudged, BATCH.action)
  assert (np.asarray(bootstrap.row_hash(BATCH.replace(action=action))) != before).all()


def test_joint_actions_of_round_numbers_have_hashes_of_their_own():
  corners = np.stack(np.meshgrid(*[[-1.0, 1.0]] * 6, indexing="ij"), axis=-1).reshape(64, 3, 2).astype(np.float32)
  batch = jax.tree.map(lambda x: x[:64], BATCH).replace(state=np.zeros((64, 12), np.float32), action=corners)
  assert len(np.unique(bootstrap.row_hash(batch))) == 64
  nothing = batch.replace(action=np.zeros_like(corners))
  minus = batch.replace(action=-np.zeros_like(corners))
  np.testing.assert_array_equal(bootstrap.row_hash(nothing), bootstrap.row_hash(minus))
