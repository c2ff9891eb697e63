"""What binaries do alike: the precision of products, and what they say of the program that ran."""

import jax
import jax.numpy as jnp
import pytest

from experiments import launch, provenance


@pytest.fixture
def on_gpu(monkeypatch):
  before = jax.config.jax_default_matmul_precision
  monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
  yield
  jax.config.update("jax_default_matmul_precision", before)


@pytest.mark.parametrize(
  ("precision", "told"),
  [
    ("float32", "precision = [HIGHEST"),
    ("tensorfloat32", "precision = [HIGH,"),
    ("bfloat16", "lhs_precision_type = bf16"),
  ],
)
def test_a_gpu_is_told_how_to_multiply(on_gpu, precision, told):
  launch.multiply_in(precision)
  square = jnp.ones((2, 2))
  program = jax.jit(lambda a, b: a @ b).trace(square, square).lower(lowering_platforms=("cuda",)).as_text()
  assert told in program


def test_a_copy_that_is_not_installed_says_so(monkeypatch):
  monkeypatch.setattr(provenance, "PACKAGES", ("jax", "marl_offline_of_nobody"))
  versions = provenance.versions()
  assert versions["marl_offline_of_nobody"] == "not installed" and versions["jax"] == jax.__version__


def test_a_copy_without_history_is_told_its_commit(monkeypatch):
  monkeypatch.setenv("MARL_OFFLINE_COMMIT", "0123abcd")
  assert provenance.commit() == "0123abcd"
