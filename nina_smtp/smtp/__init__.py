"""SMTP submission (RFC 5321, RFC 6409): a sans-I/O core, and one asyncio session that drives it.

::

    replies       octets in, replies out; bounded, redacted
    capabilities  what an EHLO reply offers
    protocol      which reply answers which command; when a command may be written
    auth          SASL mechanisms
    transaction   one mail: MAIL, RCPT…, DATA and what the replies mean
    server        where to connect and how: what a credential comes down to
    tls           contexts and certificates
    wire          octets between asyncio and the protocol
    connection    a socket with deadlines
    session       opening, logging in, sending
    failures      the errors of a session, in words
    advice        what to do about a refusal
    doctor        which port of a host speaks what
"""
