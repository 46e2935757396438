"""Workflows: the graph's model and validation, what runs next, and a driver that runs it in this process.

::

    document.py   JSON text to plain data, with nothing in it that a host could trip over
    model.py      the workflow as frozen models, and its published JSON Schema
    validate.py   everything wrong with a workflow, at once
    graph.py      wires, ranks, ancestors, cycles
    items.py      what travels along a wire          blobs.py   files, by reference
    join.py       several wires into one node
    schedule.py   which nodes are ready: a pure function of the graph and of what has finished
    run.py        the driver in this process
"""
