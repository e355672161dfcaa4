"""What stands between callers and provider, each in a file of its own. The report shows them in this order."""

from bench.gate.contender import Contender
from bench.gate.contenders import booked, fixed_window, semaphore, sluice

ALL: tuple[Contender, ...] = (sluice.CONTENDER, semaphore.CONTENDER, fixed_window.CONTENDER, booked.CONTENDER)
BY_NAME = {one.name: one for one in ALL}
