"""Interactions that nobody had, for tutorials and tests: who cooked which dish next."""

from __future__ import annotations

import numpy as np

from memcom_tf.datasets.interactions import Interactions
from memcom_tf.errors import invalid

STYLES = (
    *("Classic", "Creamy", "Spicy", "Smoky", "Roast", "Winter", "Lemon", "Garlic", "Ginger"),
    *("Walnut", "Mint", "Orange"),
)
MAIN = (
    *("Lentil", "Tomato", "Mushroom", "Pumpkin", "Spinach", "Potato", "Chickpea", "Aubergine"),
    *("Salmon", "Chicken", "Cheese", "Apple"),
)
KINDS = ("soup", "curry", "salad", "pie", "stew", "pasta", "dumplings", "gratin")
_SKEW = 1.5
"""Power that makes the first of the words more frequent than the last."""


def made_up_dishes(num_users: int = 600, num_weeks: int = 30, *, seed: int = 0) -> Interactions:
    """Makes a log of dishes, from which a ranker can learn: no file and no network are needed.

    A dish is a style, a main ingredient and a kind: "Spicy pumpkin soup". Each week everybody cooks
    a dish that differs from the last one in one of the three. First cookings alone are in the log.

    Args:
        num_users: How many people cook.
        num_weeks: How many dishes each of them cooks, repeated ones among them.
        seed: Seed of the choices.

    Returns:
        The interactions: users are numbers, items and their detail "title" are names of dishes,
        times are weeks.

    Raises:
        ValueError: If a number is not positive.

    Example:
        >>> log = made_up_dishes(num_users=3)
        >>> print(*log.item[:4], sep=", ")
        Lemon lentil pie, Lemon aubergine pie, Lemon aubergine gratin, Lemon cheese gratin
    """
    if num_users < 1 or num_weeks < 1:
        raise invalid(
            "`num_users` and `num_weeks` must be positive.",
            num_users=num_users,
            num_weeks=num_weeks,
        )
    rng = np.random.default_rng(seed)
    words = (STYLES, MAIN, KINDS)

    def drawn(place: int) -> np.ndarray:
        count = len(words[place])
        return (count * rng.random(num_users) ** _SKEW).astype(int)

    parts = np.stack([drawn(place) for place in range(len(words))], axis=1)
    dishes = []
    for _ in range(num_weeks):
        dishes.append([_title(*of_user) for of_user in parts])
        changed = rng.integers(0, len(words), num_users)
        for place in range(len(words)):
            parts[:, place] = np.where(changed == place, drawn(place), parts[:, place])
    item = np.array(dishes).T.ravel()
    user, week = np.divmod(np.arange(len(item)), num_weeks)
    first = np.sort(np.unique([f"{u} {i}" for u, i in zip(user, item, strict=True)], True)[1])
    titles = {str(title): str(title) for title in np.unique(item)}
    return Interactions(user[first], item[first], week[first], {"title": titles})


def _title(style: int, main: int, kind: int) -> str:
    return f"{STYLES[style]} {MAIN[main].lower()} {KINDS[kind]}"
