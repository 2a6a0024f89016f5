"""What models are for: what their files compute, and by what they are judged."""

from memcom_tf.tasks.classes import UNKNOWN_CLASS, Classes
from memcom_tf.tasks.click import Click
from memcom_tf.tasks.next_item import NextItem, Retrieval
from memcom_tf.tasks.task import Task, task_of
from memcom_tf.tasks.vectors import Vectors

__all__ = [
    "UNKNOWN_CLASS",
    "Classes",
    "Click",
    "NextItem",
    "Retrieval",
    "Task",
    "Vectors",
    "task_of",
]
