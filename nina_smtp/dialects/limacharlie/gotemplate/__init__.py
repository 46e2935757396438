"""Go's ``text/template``, as far as LimaCharlie's template strings need it.

=========  =====================================================================
budget     what a template may cost, and the fault that is raised for more
text       from a text to pieces and tokens
nodes      what a template is made of
pipelines  expressions
parser     from a text to nodes
run        from nodes and an element to a text
values     what Go would say of a value of JSON
functions  Go's functions; ``printf`` has one of its own
helpers    LimaCharlie's functions; ``time`` has what ``parsetime`` needs
=========  =====================================================================
"""
