"""Nearly all of the tests' time is compilation: the compiler is told not to try hard. Numbers agree to round-off.

What is compiled in tests is not kept in the user's cache folder.
"""

import os

import jax

os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "false"  # of processes that tests start
jax.config.update("jax_enable_compilation_cache", False)
jax.config.update("jax_disable_most_optimizations", True)
