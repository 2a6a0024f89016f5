"""Fields of texts: of words that a model knows from documents, and of hashed n-grams."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from memcom_tf.errors import invalid
from memcom_tf.features.fields import FIRST_ID, Categorical, Features
from memcom_tf.features.tokens import NGRAMS, WORDS, words_of
from memcom_tf.tables import check_positive
from memcom_tf.vocabulary import Vocabulary

MAX_WORDS = 400
MAX_NGRAMS = 256
NUM_BUCKETS = 2**14


def fit_text(
    texts: Iterable[str],
    *,
    name: str = "text",
    min_count: int = 2,
    max_size: int | None = None,
    max_words: int = MAX_WORDS,
) -> Features:
    """The field of texts, as training sees them: a vocabulary of words by falling count.

    Args:
        texts: The texts of training alone: what else occurs is unknown later, too.
        name: The name of the field.
        min_count: Words that occur less often share the id of unknown ones; where none occurs as
            often, the most frequent one is kept.
        max_size: Words that are kept at most; None keeps all.
        max_words: Words of a text that are seen, the first ones; fewer where no text is as long.

    Returns:
        The field.

    Raises:
        ValueError: If a number is not positive, or there is no word.

    Example:
        >>> features = fit_text(["Green tea", "tea and milk", "milk"], min_count=2)
        >>> features.encode({"text": ["Milk in tea", ""]})["ids"].tolist()
        [[2, 1, 3], [0, 0, 0]]
    """
    check_positive(min_count=min_count, max_words=max_words)
    counts: Counter[str] = Counter()
    longest = 0
    for text in texts:
        words = words_of(text)
        counts.update(words)
        longest = max(longest, len(words))
    if not counts:
        raise invalid("There must be words in the texts.", "Name another column of texts.")
    if max(counts.values()) < min_count:
        min_count, max_size = 1, 1
    vocabulary = Vocabulary.from_counts(
        counts, min_count=min_count, max_size=max_size, out_of_vocabulary="share"
    )
    length = min(max_words, longest)
    field = Categorical(name, vocabulary.input_dim, length, vocabulary=vocabulary, tokenizer=WORDS)
    return Features([field])


def hashed_ngrams(
    name: str = "text", *, num_buckets: int = NUM_BUCKETS, max_ngrams: int = MAX_NGRAMS
) -> Features:
    """The field of texts whose character n-grams are hashed: no vocabulary, for texts to come.

        id(g) = 2 + fnv1a(g) mod num_buckets

    of each of the first `max_ngrams` n-grams of `ngrams_of`; zeros follow. A text without a letter
    or number, an empty or a missing one has zeros alone.

    Source of hashing features: Weinberger et al., Feature hashing for large scale multitask
    learning, ICML 2009.

    Args:
        name: The name of the field.
        num_buckets: Ids of n-grams; those that fall into one bucket have one vector.
        max_ngrams: N-grams of a text that are seen, the first ones; a word of `n` letters has up to
            `3 n - 2`.

    Returns:
        The field.

    Raises:
        ValueError: If a number is not positive.

    Example:
        >>> features = hashed_ngrams("title", num_buckets=1000, max_ngrams=5)
        >>> features.encode({"title": ["Tea", "TEA!", "...", None]})["ids"].tolist()
        [[10, 61, 193, 339, 759], [10, 61, 193, 339, 759], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]]
    """
    check_positive(num_buckets=num_buckets, max_ngrams=max_ngrams)
    return Features([Categorical(name, FIRST_ID + num_buckets, max_ngrams, tokenizer=NGRAMS)])
