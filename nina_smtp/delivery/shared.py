"""One pool and one governor for each credential in a process, whoever sends with it.

``limits`` of a credential count for all its users together. The connections stay open for a while after the
last mail, so that the next one finds them warm; what is still open when ``asyncio.run`` ends is closed by it.
The governor stays as long as the loop, since the limit of a day does not begin anew with each connection.
Equal credentials are one.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Hashable
from contextlib import asynccontextmanager
from weakref import WeakKeyDictionary, WeakValueDictionary, ref

from nina_smtp.delivery.account import Account
from nina_smtp.delivery.governor import CredentialGovernor
from nina_smtp.delivery.pace import Clock
from nina_smtp.smtp.pool import ConnectionPool

_KEPT = 1000  # governors of credentials that nobody uses at the moment


class _Shared:
    """What is shared in one loop.

    A pool holds its loop, so it is held by nothing but who uses it and its open connections. A governor does
    not, so it is held here, unless there are too many: then until nobody uses it.
    """

    def __init__(self) -> None:
        self.pools: WeakValueDictionary[Hashable, ConnectionPool] = WeakValueDictionary()
        self._governors: WeakValueDictionary[Hashable, CredentialGovernor] = WeakValueDictionary()
        self._kept: OrderedDict[Hashable, CredentialGovernor] = OrderedDict()

    def governor(self, account: Account, loop: asyncio.AbstractEventLoop) -> CredentialGovernor:
        """That of ``account``."""
        key = _key(account)
        governor = self._governors.get(key)
        if governor is None:
            governor = self._governors[key] = CredentialGovernor(
                _clock_of(loop),
                per_second=account.limits.messages_per_second,
                per_day=account.limits.messages_per_day,
                per_recipient=account.policy.max_per_recipient,
                server=account.server,
            )
        self._kept[key] = governor
        self._kept.move_to_end(key)
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return governor


_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, _Shared] = WeakKeyDictionary()


def governor_of(account: Account) -> CredentialGovernor:
    """The governor of ``account`` in the running loop."""
    loop = asyncio.get_running_loop()
    return _loops.setdefault(loop, _Shared()).governor(account, loop)


@asynccontextmanager
async def shared_pool(account: Account, *, keep_warm: bool = True) -> AsyncGenerator[ConnectionPool]:
    """The pool of ``account`` in the running loop.

    Without ``keep_warm`` its connections are closed afterwards, unless somebody else uses it.
    """
    governor = governor_of(account)
    pools = _loops[asyncio.get_running_loop()].pools
    limits, key = account.limits, _key(account)
    pool = pools.get(key)
    if pool is None or pool.closed:
        pool = pools[key] = ConnectionPool(
            account.server,
            connections=limits.connections,
            window=limits.pipeline_window,
            governor=governor,
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


def _clock_of(loop: asyncio.AbstractEventLoop) -> Clock:
    """Its time, without holding it."""
    weakly = ref(loop)

    def clock() -> float:
        its_loop = weakly()
        assert its_loop, "its loop is gone, and nobody is left to ask"
        return its_loop.time()

    return clock


def _key(account: Account) -> Hashable:
    return (account.server, account.limits, account.policy.max_per_recipient)
