"""OAuth 2: access tokens for a login, from where they come, and where they are kept.

::

    tokens        what a provider gave, and whether it is still good
    client        who asks, and where: what a credential comes down to
    endpoint      one question to the provider, with a deadline and a limit
    failures      the errors, each with what to do
    store         where tokens are kept between uses; filestore: for the command line
    single_flight one piece of work for all who want it done
    source        a good token, whoever asks, renewed before it expires
    account       a mail credential that keeps its tokens in another store
    authorization a person connects an account: authorization code with PKCE; redirect: the browser's way back
    device        the same where there is no browser
"""
