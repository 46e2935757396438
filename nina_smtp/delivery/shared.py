"""One pool for each credential in a process, whoever sends with it.

``limits`` of a credential count for all its users together. The connections stay open for a while after the
last mail, so that the next one finds them warm; what is still open when ``asyncio.run`` ends is closed by it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Hashable
from contextlib import asynccontextmanager
from weakref import WeakKeyDictionary, WeakValueDictionary

from nina_smtp.delivery.account import Account
from nina_smtp.smtp.pool import ConnectionPool

# A pool holds its loop, so it is held by nothing but who uses it and its open connections.
_Pools = WeakValueDictionary[Hashable, ConnectionPool]
_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, _Pools] = WeakKeyDictionary()


@asynccontextmanager
async def shared_pool(account: Account, *, keep_warm: bool = True) -> AsyncGenerator[ConnectionPool]:
    """The pool of ``account`` in the running loop.

    Without ``keep_warm`` its connections are closed afterwards, unless somebody else uses it.
    """
    pools = _loops.setdefault(asyncio.get_running_loop(), WeakValueDictionary())
    limits = account.limits
    key = (account.server, limits.connections, limits.pipeline_window)
    pool = pools.get(key)
    if pool is None or pool.closed:
        pool = pools[key] = ConnectionPool(
            account.server, connections=limits.connections, window=limits.pipeline_window
        )
    pool.users += 1
    try:
        yield pool
    except BaseException:
        keep_warm = True
        raise
    finally:
        pool.users -= 1
        if not keep_warm and not pool.users:
            if pools.get(key) is pool:
                del pools[key]
            await pool.close()
