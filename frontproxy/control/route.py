"""The verb of programs that serve mail servers: where a client would go now. Short, as it is asked for each message."""

from frontproxy.control.words import Answer, Controls, one_word, packed_address
from frontproxy.core import address


async def route(controls: Controls, arguments: list[str]) -> Answer:
    """The same judgement as `score`, without its reasons. In observe mode there is no route: nothing is to change.

    The DNS is asked about who is not settled, and not waited for: what it says counts from the next time on. Where
    nobody comes in at a door of ours, it would not be asked at all.
    """
    packed = packed_address(one_word(arguments, "route CLIENT"))
    proxy = controls.proxy
    verdict = proxy.judge_guarded(packed, address.unpack(packed))
    if not verdict.settled:
        proxy.ask_about(packed)
    pool = "" if verdict.would else verdict.route.pool
    return {
        "client": verdict.client,
        "pool": pool or None,
        "reply": verdict.route.reply or None,
        "stress": pool in proxy.pools.stressed,
    }
