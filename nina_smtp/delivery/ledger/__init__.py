"""A durable record of every mail: what is to be sent, what became of it. It needs the extra ``ledger``.

::

    states       where a mail is, and what a restart makes of that
    entry        one mail as it is kept
    tables       the database's tables                 database    opens it
    statements   what is written and read as mails go out          recovery    what the dead left
    review       what people ask and decide            owners      who is alive
    writer       one thread, one transaction for all that has gathered
    ledger       the whole, for asyncio
"""
