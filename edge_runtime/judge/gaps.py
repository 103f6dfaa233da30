"""How often to look for something that gives no sign: the spacing of attempts, by how long it has been away.

An attempt costs something, each second of waiting too. With h(t) the hazard that what is away for t comes back just
then, the spacing sqrt(2 c / h(t)) costs least, where c is the delay that is worth one attempt. The hazard is a prior
that needs no tuning: what has been away for t comes back within half as long again on average (so h = 2 / t), and
never more rarely than once in GAP_MS_MEAN_MAX. What was seen corrects it, class by class of ages that double, and
weighs more than the prior only after as many gaps as the prior is worth.

Integers: milliseconds, and the square root of a product of two of them.

Source: Keller 1974, "Optimum checking schedules for systems subject to random failure", Management Science 21(3),
256-260 (a density of checks n = sqrt(h / 2c)); the prior and its correction are ours, a Gamma prior for each piece of a
piecewise constant hazard.
"""

from __future__ import annotations

from math import isqrt

from msgspec import Struct, field

from ..base.limits import GAP_CLASSES_MAX, GAP_MS_MEAN_MAX, PROBE_MS_FIRST, PROBE_MS_MAX
from ..base.units import SECOND_MS

# The first class is [0, 8 s), then [8, 16), [16, 32), …; in each the prior's mean is half the class's lower bound.
FIRST_CLASS_MS = 8 * SECOND_MS
FIRST_MEAN_MS = 2 * SECOND_MS
# So many gaps the prior is worth: a few chance meetings must not stretch the spacing, a fortnight's habit should.
PRIOR_GAPS = 4


class Gaps(Struct):
    """What was learned of the gaps of one destination; losing it costs a few attempts.

    Attributes:
        waited_ms: by class of age, the time that was spent in it while away. ended: how many gaps ended in it.
    """

    waited_ms: list[int] = field(default_factory=lambda: [0] * GAP_CLASSES_MAX)
    ended: list[int] = field(default_factory=lambda: [0] * GAP_CLASSES_MAX)

    def learn(self, length_ms: int, has_ended: bool) -> None:
        """Learn of a gap that was watched for so long, to its end or not."""
        last = class_of(length_ms)
        for number in range(last):
            self.waited_ms[number] += _upper_ms(number) - _lower_ms(number)
        self.waited_ms[last] += max(0, length_ms) - _lower_ms(last)
        self.ended[last] += has_ended

    def mean_ms(self, age_ms: int) -> int:
        """Return the mean time until what has been away for so long comes back: one over the hazard at that age."""
        number = class_of(age_ms)
        prior_ms = min(FIRST_MEAN_MS << number, GAP_MS_MEAN_MAX)
        mean_ms = (PRIOR_GAPS * prior_ms + self.waited_ms[number]) // (PRIOR_GAPS + self.ended[number])
        return min(mean_ms, GAP_MS_MEAN_MAX)

    def spacing_ms(self, age_ms: int, cost_ms: int) -> int:
        """Return how long after an attempt in vain the next one is worth it: PROBE_MS_FIRST .. PROBE_MS_MAX.

        Args:
            age_ms: how long it has been away. cost_ms: the delay that is worth one attempt.
        """
        return min(max(keller_ms(self.mean_ms(age_ms), cost_ms), PROBE_MS_FIRST), PROBE_MS_MAX)


def keller_ms(mean_ms: int, cost_ms: int) -> int:
    """Return the spacing that costs least while the mean time to the return is `mean_ms`."""
    return isqrt(2 * cost_ms * mean_ms)


def class_of(age_ms: int) -> int:
    """Return the class of an age, 0 .. GAP_CLASSES_MAX - 1; the last one has no end."""
    return min(max(0, age_ms // FIRST_CLASS_MS).bit_length(), GAP_CLASSES_MAX - 1)


def _lower_ms(number: int) -> int:
    return FIRST_CLASS_MS << (number - 1) if number else 0


def _upper_ms(number: int) -> int:
    return FIRST_CLASS_MS << number
