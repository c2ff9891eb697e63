"""Nearly all of the tests' time is compilation: the compiler is told not to try hard. Numbers agree to round-off.

The same holds in processes that tests start. What is compiled in tests is not kept in the user's cache folder.
"""

import os

import jax

for name, value in {"jax_enable_compilation_cache": False, "jax_disable_most_optimizations": True}.items():
  os.environ[name.upper()] = str(value).lower()
  jax.config.update(name, value)
if jax.__version_info__ < (0, 11):  # the emitters took 40 % of a test's time; later versions end at this flag
  os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_use_fusion_emitters=false"
