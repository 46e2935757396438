"""Delivery: when and whether a message is sent, and what became of it.

::

    account      a server, a login, and its owner's wishes
    fields       the form of that; groups: its parts; trial: the test
    mailnode     what the library asks of the mail node
    outgoing     a message, fitted to a server
    shared       one pool and one governor for each credential
    pool         the public one, for finished messages
    result       what became of a mail
    attempt      what became of one attempt at it
    verdict      what kind of failure an error is
    governor     what a credential may use: pace, day, breaker, loopguard
    ledger/      the durable record
    schedule     when to try again
    retry        what is to become of a mail after an attempt
    letter       a mail of the ledger on its way
    outcome      what an attempt at it comes to
    runner       takes an account's mails from the ledger when they are due
    outbox       all of it together
"""
