"""Where the parameters of an operation come from: node, extracted, input. Nothing here does I/O."""
