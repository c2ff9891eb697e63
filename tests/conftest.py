"""Nearly all of the tests' time is compilation: the compiler is told not to try hard. Numbers agree to round-off."""

import jax

jax.config.update("jax_disable_most_optimizations", True)
