"""The SMTP connector of Splunk SOAR: its asset configuration, its actions and what they answer.

=============  ==========================================================================
``asset``      the configuration variables, as credentials
``actions``    the parameters of an action, as a node
``headers``    the JSON of custom headers
``rawmail``    the text of a whole message, mended as the connector mends it
``files``      vault ids, as attachments
``vault``      where the files of vault ids are
``sanitise``   HTML without anything that runs
``result``     the action result, with the connector's data paths and words
``reading``    a document of theirs, as ours
``writing``    ours, as a document of theirs
=============  ==========================================================================
"""

from nina_smtp.dialects.dialect import Dialect
from nina_smtp.dialects.soar.reading import read, recognises
from nina_smtp.dialects.soar.writing import write

DIALECT = Dialect("soar", "Splunk SOAR, SMTP connector", recognises, read, write)

__all__ = ["DIALECT"]
