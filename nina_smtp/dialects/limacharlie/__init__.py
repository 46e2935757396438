"""LimaCharlie: what its SMTP output sends, and how it writes it.

========  ===================================================================================
output    the configuration, in and out
mail      from an element to its mail
filters   which elements are sent; ``wire`` has them as texts, as the configuration does
streams   what an element is called, where, when and how bad it is
shape     the element as it is sent: flat, wrapped, transformed (``selector`` has its paths)
readable  the HTML for people
template  template strings
========  ===================================================================================
"""

from nina_smtp.dialects.limacharlie.output import DIALECT

__all__ = ["DIALECT"]
