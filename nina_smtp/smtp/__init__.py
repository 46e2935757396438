"""SMTP submission (RFC 5321, RFC 6409): a sans-I/O core, and what drives it with asyncio.

::

    replies       octets in, replies out; bounded, redacted
    capabilities  what an EHLO reply offers
    protocol      which reply answers which command; when a command may be written
    auth          SASL mechanisms
    phase         where in a session something happened
    mail          what is carried, and what is said about it afterwards
    transaction   one mail: MAIL, RCPT…, DATA or BDAT, and what the replies mean
    flight        several of them over one session, and what becomes of each
    turns         whose mail is next
    server        where to connect and how: what a credential comes down to
    tls           contexts and certificates
    wire          octets between asyncio and the protocol
    connection    a socket with deadlines
    session       opening, logging in, sending
    boarding      how a mail sets out: fitted to the server, admitted
    outlet        what is gathered for one write
    carrier       mail after mail over one session, with few round trips
    burst         writes of several sessions that go out together
    pool          a few sessions, shared by everybody who has mail
    governor      who decides what a pool may use, and is told what came of it
    gate          lets mails through when the governor allows it
    failures      the errors of a session, in words
    advice        what to do about a refusal
    doctor        which port of a host speaks what
"""
