"""How every binary starts and ends.

Exit status: 0 done (or stopped by a signal after saving), 1 training became non-finite, 2 the user's input, the disk or
the memory, 130 Ctrl-C outside training; all but 0 with one sentence on stderr.
"""

import contextlib
import os
import pathlib
import sys
from collections.abc import Callable
from typing import NoReturn

import jax
from absl import flags, logging

from experiments import command_line
from experiments.runs import Ended, UserError
from marl_offline import execution
from marl_offline.datasets import storage
from marl_offline.training import memory
from marl_offline.training.checkpoints import CheckpointError
from marl_offline.training.trainer import NonFinite


def binary(main: Callable[[], None], flag_values: flags.FlagValues = flags.FLAGS) -> NoReturn:
  """Parses the flags and runs `main`; every expected failure is one sentence on stderr and an exit status.

  A binary that imports another one's functions keeps its flags in FlagValues of its own, so that names do not collide.
  """
  logging.set_verbosity(logging.WARNING)  # below that JAX tells which accelerators are not there
  keep_compiled_programs()
  use_every_core()
  if set(command_line.HELP) & set(sys.argv[1:]):
    print(command_line.help_text(sys.modules["__main__"].__doc__, flag_values))
    sys.exit(0)
  try:
    rest = flag_values(command_line.at_home(sys.argv))
  except (flags.Error, ValueError) as error:  # the parser's own, and that of a switch with a value
    _leave(f"{error}; --help lists the flags", 2)
  if rest[1:]:
    _leave(f"unexpected argument {rest[1]!r}; every input is a flag, and --help lists them", 2)
  try:
    main()
  except Ended as error:
    print(error)
  except NonFinite as error:
    _leave(error, 1)
  except (UserError, CheckpointError, memory.TooLarge, storage.DataError, OSError) as error:
    _leave(error, 2)
  except jax.errors.JaxRuntimeError as error:
    if not memory.ran_out(error):
      raise
    _leave(f"the device has not the memory: {error}; {memory.ADVICE}; what was saved is kept", 2)
  except KeyboardInterrupt:
    _say("interrupted")
    sys.stdout.flush()
    os._exit(130)  # the interpreter's own end would wait for what the device computes, or crash under it
  sys.exit(0)


def keep_compiled_programs() -> None:
  """A program compiled once is read from disk by later runs: JAX_COMPILATION_CACHE_DIR, or the user's cache folder.

  JAX_ENABLE_COMPILATION_CACHE=false switches it off.
  """
  if not jax.config.jax_compilation_cache_dir:
    home = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    jax.config.update("jax_compilation_cache_dir", str(pathlib.Path(home) / "marl_offline" / "compiled"))


def use_every_core() -> None:
  """On a CPU each core is a device of its own, with seeds or members of its own (training/devices.py): one device that
  splits every small product over all cores takes half as long again. Too late where JAX has computed already."""
  with contextlib.suppress(RuntimeError):
    jax.config.update("jax_num_cpu_devices", execution.cores())


def multiply_in(precision: str) -> None:
  """Sets the precision of matrix products. An accelerator's own default would be tensorfloat32, so every binary that
  computes there says which; processes that train together have met before.

  Raises:
    UserError: another one than float32 on a CPU, which has none.
  """
  backend = jax.default_backend()
  if backend == "cpu" and precision != "float32":
    raise UserError(f"--precision={precision} is for accelerators; a CPU multiplies in float32")
  if backend == "gpu" and precision == "bfloat16":
    precision = "BF16_BF16_F32"  # what JAX calls bfloat16 leaves float32 products to a GPU's default: tensorfloat32
  if backend != "cpu":
    jax.config.update("jax_default_matmul_precision", precision)


def _leave(error: object, status: int) -> NoReturn:
  _say(error)
  sys.exit(status)


def _say(error: object) -> None:
  print("error: " + " ".join(str(error).split()), file=sys.stderr, flush=True)
