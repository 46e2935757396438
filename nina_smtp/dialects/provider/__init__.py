"""The ``email.smtp`` provider.

=========  ==================================================
providers  a file of it: its providers, and all of it written
notify     the steps of its workflows that send mail
writing    these written
=========  ==================================================
"""

from nina_smtp.dialects.provider.providers import DIALECT

__all__ = ["DIALECT"]
