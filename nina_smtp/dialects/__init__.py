"""Configurations of other systems, read into ours and written back: one module for each system.

Every reader is a pure translation from plain data to :class:`~nina_smtp.dialects.imported.Imported`: nothing
is sent, no environment and no file is read. What comes out runs like anything else of ours, and a note on
every key says what became of it.

==============  =================================================================
``limacharlie``  the SMTP output of LimaCharlie
``soar``         the SMTP connector of Splunk SOAR: asset and actions
``provider``     the ``email.smtp`` provider: providers and workflows
``nina``         node and credential of NINA's guide
``n8n``          the Send Email node
``xsoar``        ``send-mail`` of Cortex XSOAR
``tracecat``     ``core.send_email_smtp``
==============  =================================================================

What they share: ``dialect`` (which there are), ``documents`` (text to plain data), ``source`` (theirs, key by
key), ``imported`` (what comes of it), ``exporting`` (ours, taken apart); for those with expressions and
graphs ``inserts``, ``logins``, ``untranslated`` and ``wiring``.
"""

from nina_smtp.dialects.dialect import read, recognise
from nina_smtp.dialects.imported import Fate, Imported, Note

__all__ = ["Fate", "Imported", "Note", "read", "recognise"]
