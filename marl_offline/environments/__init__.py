"""Tasks: reset and step. The pure kind runs inside jit, vmap and scan."""
