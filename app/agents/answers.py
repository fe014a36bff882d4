"""Answers of agents: the plan in whatever they wrote around it."""

from __future__ import annotations

import json
import math
from typing import NoReturn

from app.domain.errors import BadAnswerError, InvalidInputError
from app.domain.plan_reading import PlanReading, is_like_a_plan, read_plan

#: Places in a text that are tried as the beginning of a plan.
_MOST_TRIES = 20

#: Characters that tries in vain may read, together; the one that goes beyond is the last. An answer whose every brace
#: opens something that never ends would be read 20 times, after its deadline and with no other thread running.
_MOST_IN_VAIN = 500_000


def parse_answer(text: str) -> PlanReading:
    """Return the plan in an agent's text, whatever prose, code fence or wrapper stands around it.

    Raises:
        BadAnswerError: There is none that can be used.
    """
    data = _largest_plan(text)
    if data is None:
        data = read_json(text.strip("\ufeff \t\r\n"))
    if not data:
        raise BadAnswerError("the answer is empty")
    try:
        return read_plan(data, place="answer")
    except InvalidInputError as error:
        raise BadAnswerError(f"the answer is no plan: {error}") from error


def read_json(text: str | bytes) -> object:
    """Return what a JSON text says.

    Raises:
        BadAnswerError: It is no JSON, has NaN or Infinity in it, or is nested too deeply.
    """
    try:
        return json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except RecursionError:
        raise BadAnswerError("the answer is nested too deeply") from None
    except ValueError as error:
        raise BadAnswerError(f"the answer is not JSON: {error}") from None


def _largest_plan(text: str) -> object:
    """Return the object with the longest text among those that look like a plan, or None.

    The longest, for models like to show a short example or draft first.

    Raises:
        BadAnswerError: It would take too long to look at every place.
    """
    best: tuple[int, object] = (0, None)
    in_vain = 0
    start = text.find("{")
    for _ in range(_MOST_TRIES):
        if start < 0:
            break
        end = start + 1
        try:
            data, after = _DECODER.raw_decode(text, start)
        except json.JSONDecodeError as error:
            in_vain += error.pos - start
        except (ValueError, RecursionError):
            # They do not tell how far they came.
            in_vain += len(text) - start
        else:
            if is_like_a_plan(data):
                best = max(best, (after - start, data), key=lambda found: found[0])
                end = after
        if in_vain > _MOST_IN_VAIN:
            if best[1] is None:
                raise BadAnswerError("the answer is too long to look for a plan in it")
            break
        start = text.find("{", end)
    return best[1]


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError("a number is too large")
    return number


_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite)
