"""One pool for each credential in a process, whoever sends with it.

``limits`` of a credential count for all its users together. The connections stay open for a while after the
last mail, so that the next one finds them warm; what is still open when ``asyncio.run`` ends is closed by it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from nina_smtp.delivery.account import Account
from nina_smtp.smtp.pool import ConnectionPool


@dataclass(slots=True)
class _Shared:
    pool: ConnectionPool
    users: int = 0


_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Hashable, _Shared]] = WeakKeyDictionary()


@asynccontextmanager
async def shared_pool(account: Account, *, keep_warm: bool = True) -> AsyncGenerator[ConnectionPool]:
    """The pool of ``account`` in the running loop.

    Without ``keep_warm`` its connections are closed afterwards, unless somebody else uses it.
    """
    pools = _loops.setdefault(asyncio.get_running_loop(), {})
    for key in [key for key, one in pools.items() if not one.users and not one.pool.open_connections]:
        del pools[key]
    limits = account.limits
    key = (account.server, limits.connections, limits.pipeline_window)
    shared = pools.get(key)
    if shared is None:
        shared = pools[key] = _Shared(
            ConnectionPool(account.server, connections=limits.connections, window=limits.pipeline_window)
        )
    shared.users += 1
    try:
        yield shared.pool
    finally:
        shared.users -= 1
        if not keep_warm and not shared.users:
            if pools.get(key) is shared:
                del pools[key]
            await shared.pool.close()
